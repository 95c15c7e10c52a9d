//! A worker's poller: the file descriptors that its goroutines wait for, and the one place where it
//! sleeps once there are any.
//!
//! A descriptor is registered once, for both directions and edge-triggered, with the worker whose
//! goroutine is the first that has to wait for it. The system's events go to the [`Interest`] that
//! was registered, which wakes whoever waits: on the same worker without another thread being
//! concerned, else through inboxes.
//!
//! The worker polls: when it has nothing to run, and once a round. While one goroutine holds it the
//! monitor does, so `poll` may be called by any thread; whoever sleeps in it is the worker.
//! Descriptors may be registered and taken out by any thread at any time. An event that was already
//! on its way may still come for one that is gone, or for what has taken its number since: an event
//! means "look again", so that does no harm.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Poll, Registry, Token, Waker};
use rustix::event::{PollFd, PollFlags, Timespec};
use slab::Slab;

use super::tuning::{COARSE_SLEEP, EVENTS};
use crate::clock;
use crate::primitives::atomic::{AtomicUsize, Ordering};

const WAKE: Token = Token(usize::MAX);

/// What an event says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Nothing more will come, or there is an error: there may be no other event.
    pub(crate) read_closed: bool,
    pub(crate) write_closed: bool,
    /// There is urgent data, at which reads end. Only Linux tells.
    pub(crate) urgent: bool,
}

/// What wants to know of a descriptor's events.
pub(crate) trait Interest: Send + Sync {
    /// Called by the thread that polls; it must not block, park or panic.
    fn notify(&self, readiness: Readiness);
}

pub(super) struct Poller {
    /// Who polls has it.
    poll: Mutex<(Poll, Events)>,
    registry: Registry,
    waker: Waker,
    /// The descriptor of the system's poller, which is readable when it has events.
    fd: RawFd,
    interests: Mutex<Slab<Arc<dyn Interest>>>,
    /// How many those are; it may be a moment old.
    count: AtomicUsize,
}

impl Poller {
    fn new() -> io::Result<Poller> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, WAKE)?;
        Ok(Poller {
            fd: poll.as_raw_fd(),
            poll: Mutex::new((poll, Events::with_capacity(EVENTS))),
            registry,
            waker,
            interests: Mutex::default(),
            count: AtomicUsize::new(0),
        })
    }

    fn interests(&self) -> std::sync::MutexGuard<'_, Slab<Arc<dyn Interest>>> {
        self.interests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register(&self, fd: RawFd, interest: Arc<dyn Interest>) -> io::Result<usize> {
        let mut interests = self.interests();
        let key = interests.insert(interest);
        let all = mio::Interest::READABLE | mio::Interest::WRITABLE;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let all = all | mio::Interest::PRIORITY;
        let registered = self.registry.register(&mut SourceFd(&fd), Token(key), all);
        if registered.is_err() {
            interests.remove(key);
        }
        self.count.store(interests.len(), Ordering::Relaxed);
        registered.map(|()| key)
    }

    pub(super) fn deregister(&self, fd: RawFd, key: usize) {
        // If the system does not know it any more, that is what was wanted.
        let _ = self.registry.deregister(&mut SourceFd(&fd));
        let mut interests = self.interests();
        let interest = interests.try_remove(key);
        self.count.store(interests.len(), Ordering::Relaxed);
        drop(interests);
        drop(interest);
    }

    /// Whether there is anything to poll for.
    pub(super) fn is_in_use(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Ends the sleep of the worker, now or the next time.
    pub(super) fn wake(&self) {
        // It can fail only if the counter of wake-ups is full: then one is on its way.
        let _ = self.waker.wake();
    }

    /// Tells those whose events have come. `true`: there were some.
    pub(super) fn poll(&self) -> bool {
        match self.poll.try_lock() {
            Ok(mut poll) => self.wait(&mut poll, Some(Duration::ZERO)),
            Err(TryLockError::Poisoned(poll)) => {
                self.wait(&mut poll.into_inner(), Some(Duration::ZERO))
            }
            // Somebody does.
            Err(TryLockError::WouldBlock) => false,
        }
    }

    /// Sleeps until an event comes, somebody [`wake`](Self::wake)s the worker, or `until`, and
    /// tells those whose events have come. It may get up too soon. `true`: there were events.
    ///
    /// It does not sleep if `still` says no, which is what a `wake` must have changed before.
    pub(super) fn sleep(&self, until: Option<Instant>, still: impl FnOnce() -> bool) -> bool {
        let mut poll = self.poll.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked only now: another thread that polled may have taken the event of a wake-up, which
        // comes once. From here on it is ours.
        if !still() {
            return false;
        }
        let Some(until) = until else {
            return self.wait(&mut poll, None);
        };
        let left = until.saturating_duration_since(clock::now());
        if left > COARSE_SLEEP {
            let whole = Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
            return self.wait(&mut poll, Some(whole));
        }
        // SAFETY: `poll`, which is held, keeps it open.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd) };
        let left = Timespec {
            tv_sec: 0,
            tv_nsec: left.subsec_nanos().into(),
        };
        // A signal ends it early, which is allowed.
        let _ = rustix::event::poll(
            &mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)],
            Some(&left),
        );
        self.wait(&mut poll, Some(Duration::ZERO))
    }

    fn wait(&self, (poll, events): &mut (Poll, Events), timeout: Option<Duration>) -> bool {
        if poll.poll(events, timeout).is_err() {
            // A signal; no other error can come.
            return false;
        }
        let mut any = false;
        for event in events.iter().filter(|event| event.token() != WAKE) {
            any = true;
            // Not under the lock: who is woken may take its descriptor out at once.
            let interest = self.interests().get(event.token().0).map(Arc::clone);
            if let Some(interest) = interest {
                let failed = event.is_error();
                interest.notify(Readiness {
                    readable: event.is_readable() || failed,
                    writable: event.is_writable() || failed,
                    read_closed: event.is_read_closed() || failed,
                    write_closed: event.is_write_closed() || failed,
                    urgent: event.is_priority(),
                });
            }
        }
        any
    }
}

/// A worker's poller, made when it is needed first, and there for ever.
#[derive(Default)]
pub(super) struct PollerSlot {
    made: OnceLock<Poller>,
    making: Mutex<()>,
}

impl PollerSlot {
    #[inline]
    pub(super) fn get(&self) -> Option<&Poller> {
        self.made.get()
    }

    pub(super) fn get_or_try_make(&self) -> io::Result<&Poller> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let poller = Poller::new()?;
        Ok(self.made.get_or_init(|| poller))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As when the monitor polls for a worker that was held a moment ago, and is about to sleep.
    #[test]
    fn a_wake_up_that_another_thread_has_taken() -> io::Result<()> {
        let poller = Poller::new()?;
        poller.wake();
        assert!(!poller.poll());
        assert!(!poller.sleep(None, || false));
        Ok(())
    }
}
