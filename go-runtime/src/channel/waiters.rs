//! The queue of those who wait for something that is not a channel: an edge of a descriptor, the
//! end of a group.
//!
//! A wait begins only if what is waited for has not happened, which is looked at under the queue's
//! lock. The thread that makes it happen does so either under that lock, or before it takes the
//! lock to wake the waiters. So either the waiter sees that it has happened, or that thread finds
//! the waiter in the queue. The same holds for a limit that is changed before the waiters are
//! woken, as the limit is read under the lock.
//!
//! A done channel ends a wait as well: an [observer](Observable) stands in the channel's queue,
//! with the same parker as the waiter here, so one of the two ends the wait and the other is passed
//! over. The observer is queued before the lock of this queue is given back. This lock is taken
//! before a channel's, and never the other way round: a channel tells its waiters only after it has
//! given its own lock back.

use std::cell::UnsafeCell;
use std::ptr;
use std::time::Instant;

use super::observe::{Look, Observable};
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{Claim, Offer, Parker, Verdict, WaitQueue, Waiter};

/// Why a wait has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// What was waited for has happened, as the caller of `wake_one` or `wake_all` says.
    ByEvent,
    /// The done channel had a message, and another receiver has it.
    ByNothing,
    /// The done channel is ready.
    ByDone,
    TimedOut,
}

pub(crate) struct Waiters {
    /// Guarded by `lock`.
    queue: UnsafeCell<WaitQueue>,
    lock: RawSpinLock,
}

// SAFETY: `queue` is used under the lock only, by `with_queue` and `wait`.
unsafe impl Sync for Waiters {}

impl Waiters {
    pub(crate) fn new() -> Waiters {
        Waiters {
            queue: UnsafeCell::new(WaitQueue::new()),
            lock: RawSpinLock::new(),
        }
    }

    /// Wakes the first waiter.
    pub(crate) fn wake_one(&self) {
        if let Some(first) = self.with_queue(WaitQueue::take) {
            // SAFETY: `take` has claimed it and taken it out of the queue, so this is the one call
            // that ends its wait.
            unsafe { Waiter::finish(first) };
        }
    }

    /// Wakes all waiters.
    pub(crate) fn wake_all(&self) {
        self.with_queue(WaitQueue::take_all).end(Verdict::Done);
    }

    /// Waits to be woken, for `done` to be ready, or until `limit`. It does not wait if `still`
    /// says no. Both closures run under the lock: they must neither block nor panic. If `done` is
    /// ready from the beginning the wait ends by that, whatever else has happened.
    #[inline]
    pub(crate) fn wait(
        &self,
        still: impl FnOnce() -> bool,
        limit: impl FnOnce() -> Option<Instant>,
        done: Option<&dyn Observable>,
    ) -> Woken {
        self.lock.lock();
        if !still() {
            // SAFETY: locked above, and the queue has not been used.
            unsafe { self.lock.unlock() };
            return if done.is_some_and(Observable::is_ready) {
                Woken::ByDone
            } else {
                Woken::ByEvent
            };
        }
        let mut until = limit();
        let parker = Parker::new();
        let observer = Waiter::new(Offer::Message, Claim::Contested);
        if let Some(done) = done {
            observer.set_up(&parker, 0, ptr::null_mut());
            // SAFETY: it was set up just now, and is in no queue. This function returns, and so
            // ends the observer and its parker, only after the channel has told it or
            // `stop_observing` below; nothing in between unwinds.
            match unsafe { done.observe(&observer) } {
                Look::Waits(due) => until = until.into_iter().chain(due).min(),
                Look::Ready => {
                    // SAFETY: locked above, and the queue has not been used.
                    unsafe { self.lock.unlock() };
                    return Woken::ByDone;
                }
            }
        }
        let claim = done.map_or(Claim::until(until), |_| Claim::Contested);
        let waiter = Waiter::new(Offer::Message, claim);
        waiter.set_up(&parker, 0, ptr::null_mut());
        // SAFETY: the lock is held, so the queue is ours. The waiter is in no queue and set up.
        // Before this frame ends it has been taken out: by `take` or `take_all` if the verdict is
        // `Done`, else by `remove` below.
        unsafe { (*self.queue.get()).push(&waiter) };
        // SAFETY: locked above, and the queue is not used any more.
        unsafe { self.lock.unlock() };
        let verdict = parker.park(until);
        let by_event = matches!(verdict, Verdict::Done(_));
        if !by_event {
            // SAFETY: this is the only queue that it has been in.
            self.with_queue(|queue| unsafe { queue.remove(&waiter) });
        }
        if let Some(done) = done {
            // A channel that has told the observer to look again has taken it out.
            if verdict != Verdict::Retry {
                // SAFETY: it was queued there, by `observe` above, and nowhere else.
                unsafe { done.stop_observing(&observer) };
            }
            if !by_event && done.is_ready() {
                return Woken::ByDone;
            }
        }
        match verdict {
            Verdict::TimedOut => Woken::TimedOut,
            _ if by_event => Woken::ByEvent,
            _ => Woken::ByNothing,
        }
    }

    /// Runs `f` on the queue, under the lock. It must not come here again.
    pub(crate) fn with_queue<R>(&self, f: impl FnOnce(&mut WaitQueue) -> R) -> R {
        self.lock.lock();
        // SAFETY: the lock is held, so no other reference to the queue exists until it is given
        // back below.
        let result = f(unsafe { &mut *self.queue.get() });
        // SAFETY: locked above, and the queue is not used any more: no result refers to it.
        unsafe { self.lock.unlock() };
        result
    }
}
