//! The queue of a [`Condvar`](super::Condvar), and how one comes into it and out of it.
//!
//! No notification is lost: who waits is in the queue before it gives the mutex back. So whoever
//! has changed, under the mutex, what it waits for finds it there. A wait with a deadline is
//! claimed by the clock or by a notification, whichever comes first, and the other one passes it
//! over.

use std::cell::UnsafeCell;
use std::ptr;
use std::time::Instant;

use super::raw_mutex::RawMutex;
use crate::primitives::const_fn;
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{Claim, Offer, Parker, Verdict, WaitQueue, Waiter};

pub(crate) struct RawCondvar {
    /// Guarded by `lock`.
    waiting: UnsafeCell<WaitQueue>,
    lock: RawSpinLock,
}

// SAFETY: `waiting` is used under the lock only.
unsafe impl Sync for RawCondvar {}

impl RawCondvar {
    const_fn! {
        pub(crate) fn new() -> RawCondvar {
            RawCondvar {
                waiting: UnsafeCell::new(WaitQueue::new()),
                lock: RawSpinLock::new(),
            }
        }
    }

    /// Gives the mutex back, waits for a notification, or until `deadline`, and takes the mutex
    /// again. `true`: it was notified.
    ///
    /// # Safety
    /// The mutex is locked and the caller's, who uses nothing that it guards during this call.
    pub(crate) unsafe fn wait(&self, mutex: &RawMutex, deadline: Option<Instant>) -> bool {
        let waiter = Waiter::new(Offer::Message, Claim::until(deadline));
        let parker = Parker::new();
        waiter.set_up(&parker, 0, ptr::null_mut());
        // SAFETY: whoever unparks us has taken the waiter out; else we do below.
        self.with_queue(|queue| unsafe { queue.push(&waiter) });
        // SAFETY: passed on. It never parks, which this goroutine's parker would not bear before
        // its own `park`.
        unsafe { mutex.unlock() };
        let notified = parker.park(deadline) != Verdict::TimedOut;
        if !notified {
            // SAFETY: it has been in this queue only.
            self.with_queue(|queue| unsafe { queue.remove(&waiter) });
        }
        mutex.lock();
        notified
    }

    pub(crate) fn notify_one(&self) {
        if let Some(first) = self.with_queue(WaitQueue::take) {
            // SAFETY: it was claimed and taken out of the queue just now.
            unsafe { Waiter::finish(first) };
        }
    }

    pub(crate) fn notify_all(&self) {
        self.with_queue(WaitQueue::take_all).end(Verdict::Done);
    }

    fn with_queue<R>(&self, f: impl FnOnce(&mut WaitQueue) -> R) -> R {
        self.lock.lock();
        // SAFETY: the lock is held, and none of the functions above comes here again.
        let result = f(unsafe { &mut *self.waiting.get() });
        // SAFETY: locked above, and the queue is not used any more: no result refers to it.
        unsafe { self.lock.unlock() };
        result
    }
}
