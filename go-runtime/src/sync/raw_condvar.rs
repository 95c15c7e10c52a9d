//! The queue of a [`Condvar`](super::Condvar), and how waiting goroutines enter and leave the
//! queue.
//!
//! This module owns the queue, which any thread may use: the queue has a lock of its own.
//!
//! No notification is lost: a waiter is in the queue before its goroutine gives the mutex back. So
//! a thread that changes, under the mutex, what the goroutine waits for finds the waiter there. A
//! wait with a deadline is claimed either by its timer or by a notification, whichever comes first;
//! the later of the two skips that waiter.

use std::time::Instant;

use super::raw_mutex::RawMutex;
use crate::primitives::const_fn;
use crate::wait::{WaitList, WaitReason, Waited};

pub(crate) struct RawCondvar {
    waiting: WaitList,
}

impl RawCondvar {
    const_fn! {
        pub(crate) fn new() -> RawCondvar {
            RawCondvar {
                waiting: WaitList::new(()),
            }
        }
    }

    /// Gives the mutex back, waits for a notification or until `deadline`, and takes the mutex
    /// again. Returns whether a notification came.
    ///
    /// # Safety
    /// The caller holds the mutex, and uses nothing that the mutex guards during this call.
    pub(crate) unsafe fn wait(&self, mutex: &RawMutex, deadline: Option<Instant>) -> bool {
        // SAFETY: the caller holds the mutex, and uses nothing that the mutex guards until this
        // function has locked it again.
        let unlock = || unsafe { mutex.unlock() };
        // SAFETY: `unlock`, the only call in the closure, neither unwinds nor parks: `unlock`
        // changes the state word, and at most wakes a waiter.
        let waited = unsafe {
            self.waiting
                .wait_after(WaitReason::CondvarWait, unlock, deadline)
        };
        mutex.lock();
        waited != Waited::TimedOut
    }

    /// Wakes the waiter that has waited longest, if there is one.
    pub(crate) fn notify_one(&self) {
        self.waiting.wake_one();
    }

    /// Wakes all waiters.
    pub(crate) fn notify_all(&self) {
        self.waiting.wake_all();
    }
}
