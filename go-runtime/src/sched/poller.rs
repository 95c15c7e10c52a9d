//! A worker's poller: the file descriptors that goroutines wait for, and the place where the worker
//! sleeps once any are registered.
//!
//! ```text
//!   system          poller of one worker                      the waiting goroutine's worker
//!  +--------+ event +------------+ token +-----------+on_event +------------------------+
//!  | epoll, |------>| Poll::poll |------>| interests |-------->| own run queue, or else |
//!  | kqueue |       | (`wait`)   |       | (slab)    |         | inbox of its worker    |
//!  +--------+       +------------+       +-----------+         +------------------------+
//!       ^              ^                                           |
//!       | register     | the worker: once a round, and to sleep    v
//!   a goroutine        | the monitor: while the worker is held   the goroutine runs
//!   that has to wait
//! ```
//!
//! A worker makes its poller when one of its goroutines first waits for a descriptor. A descriptor
//! is registered once, edge-triggered and for both directions, with the worker of the first
//! goroutine that has to wait for it. The poller passes the system's events to the registered
//! [`Interest`], which wakes the waiting goroutines: directly if they belong to the polling worker,
//! and through inboxes otherwise.
//!
//! The worker polls once a round, and when it has nothing to run. The monitor polls while a
//! goroutine holds the worker. So any thread may call `poll`, and a mutex lets one poll at a time;
//! only the worker calls `sleep`. Any thread may register and deregister descriptors at any time.
//! An event that was already on its way may therefore arrive for a closed descriptor, or for
//! another descriptor that has the closed one's number or token now. That does no harm: an event
//! only means "try again".

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

/// The contents of an event: what has become possible on a descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IoEvent {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Whether no more data will come, or there is an error: no further event may follow.
    pub(crate) read_closed: bool,
    pub(crate) write_closed: bool,
    /// Whether there is urgent data, at which reads end. Only Linux reports this.
    pub(crate) urgent: bool,
}

/// A receiver of a descriptor's events.
pub(crate) trait Interest: Send + Sync {
    /// Takes an event. The polling thread calls this; it must not block, park or panic.
    fn on_event(&self, event: IoEvent);
}

pub(super) struct Poller {
    /// The system's poller, locked by the thread that polls.
    poll: Mutex<(Poll, Events)>,
    registry: Registry,
    waker: Waker,
    /// The descriptor of the system's poller, which becomes readable when there are events.
    fd: RawFd,
    interests: Mutex<Slab<Arc<dyn Interest>>>,
    /// Number of `interests`; it may be a moment old.
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
        // An error means that the system has already forgotten the descriptor, which is the goal.
        let _ = self.registry.deregister(&mut SourceFd(&fd));
        let mut interests = self.interests();
        let interest = interests.try_remove(key);
        self.count.store(interests.len(), Ordering::Relaxed);
        drop(interests);
        drop(interest);
    }

    /// Returns whether any descriptor is registered.
    pub(super) fn is_in_use(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Ends the worker's current sleep, or the next one.
    pub(super) fn wake(&self) {
        // This fails only if the counter of wake-ups is full: then a wake-up is already pending.
        let _ = self.waker.wake();
    }

    /// Passes on the events that have arrived, without waiting. Returns whether there were any
    /// events.
    pub(super) fn poll(&self) -> bool {
        match self.poll.try_lock() {
            Ok(mut poll) => self.wait(&mut poll, Some(Duration::ZERO)),
            Err(TryLockError::Poisoned(poll)) => {
                self.wait(&mut poll.into_inner(), Some(Duration::ZERO))
            }
            // Another thread is polling.
            Err(TryLockError::WouldBlock) => false,
        }
    }

    /// Sleeps until an event arrives, another thread calls [`wake`](Self::wake), or the time
    /// `until` comes; then passes on the events that have arrived. May return too early. Returns
    /// whether there were events.
    ///
    /// Does not sleep if `still` returns `false`. A thread must change what `still` reads before it
    /// calls `wake`.
    pub(super) fn sleep(&self, until: Option<Instant>, still: impl FnOnce() -> bool) -> bool {
        let mut poll = self.poll.lock().unwrap_or_else(PoisonError::into_inner);
        // `still` is called only now, under the lock. Before, another polling thread may have
        // consumed the event of a wake-up, which arrives once; from here on, this thread gets the
        // next such event.
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
        // SAFETY: `self.fd` is the descriptor of the `Poll` in `self.poll`, which is never replaced
        // and lives as long as `self`: the descriptor stays open.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd) };
        let left = Timespec {
            tv_sec: 0,
            tv_nsec: left.subsec_nanos().into(),
        };
        // A signal ends the wait early, which this function's contract allows.
        let _ = rustix::event::poll(
            &mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)],
            Some(&left),
        );
        self.wait(&mut poll, Some(Duration::ZERO))
    }

    fn wait(&self, (poll, events): &mut (Poll, Events), timeout: Option<Duration>) -> bool {
        if poll.poll(events, timeout).is_err() {
            // A signal interrupted the wait; no other error can occur.
            return false;
        }
        let mut any = false;
        for event in events.iter().filter(|event| event.token() != WAKE) {
            any = true;
            // `on_event` is called without the lock: the goroutine that it wakes may deregister its
            // descriptor at once.
            let interest = self.interests().get(event.token().0).map(Arc::clone);
            if let Some(interest) = interest {
                let failed = event.is_error();
                interest.on_event(IoEvent {
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

/// A worker's poller, made when it is first needed, and never dropped.
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

    /// Two threads poll at once: the monitor, for a worker that was held a moment ago, and that
    /// worker, which is about to sleep.
    #[test]
    fn a_wake_up_that_another_thread_has_taken() -> io::Result<()> {
        let poller = Poller::new()?;
        poller.wake();
        assert!(!poller.poll());
        assert!(!poller.sleep(None, || false));
        Ok(())
    }
}
