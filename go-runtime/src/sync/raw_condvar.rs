//! The queue of a [`Condvar`](super::Condvar), and how a waiting goroutine gets into it and out of
//! it.
//!
//! No notification is lost: a waiter is in the queue before its goroutine gives the mutex back. So
//! a thread that changes, under the mutex, what the goroutine waits for finds the waiter there. A
//! wait with a deadline is claimed by the clock or by a notification, whichever comes first; the
//! other one passes it over.

use std::time::Instant;

use super::raw_mutex::RawMutex;
use crate::primitives::const_fn;
use crate::wait::{WaitList, Waited};

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

    /// Gives the mutex back, waits for a notification, or until `deadline`, and takes the mutex
    /// again. Returns whether a notification came.
    ///
    /// # Safety
    /// The mutex is locked and the caller's, who uses nothing that it guards during this call.
    pub(crate) unsafe fn wait(&self, mutex: &RawMutex, deadline: Option<Instant>) -> bool {
        // SAFETY: the caller has locked the mutex, and uses nothing that it guards until this
        // function has locked it again.
        let unlock = || unsafe { mutex.unlock() };
        // SAFETY: to unlock a mutex neither unwinds nor parks.
        let waited = unsafe { self.waiting.wait_after(unlock, deadline) };
        mutex.lock();
        waited != Waited::TimedOut
    }

    pub(crate) fn notify_one(&self) {
        self.waiting.wake_one();
    }

    pub(crate) fn notify_all(&self) {
        self.waiting.wake_all();
    }
}
