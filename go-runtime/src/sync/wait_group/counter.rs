//! What the clones of a [`WaitGroup`](super::WaitGroup) share, and what a scope counts its goroutines with.
//!
//! The step to 0 and the taking of those who wait are one, under the lock; all other steps are single atomic operations.

use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::channel::wait_queue::{Claim, Offer, WaitQueue, Waiter};
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::spin_lock::RawSpinLock;
use crate::sched::{Parker, Verdict};

/// What is larger was meant to be negative.
const MOST: usize = isize::MAX as usize;

/// A count, and those who wait until it is 0.
pub(crate) struct Counter {
    count: AtomicUsize,
    lock: RawSpinLock,
    waiting: UnsafeCell<WaitQueue>,
}

// SAFETY: `waiting` is used under the lock only.
unsafe impl Sync for Counter {}

// Its misuse panics before anything is changed.
impl UnwindSafe for Counter {}
impl RefUnwindSafe for Counter {}

impl Counter {
    /// A count of 0.
    pub(crate) fn new() -> Counter {
        Counter {
            count: AtomicUsize::new(0),
            lock: RawSpinLock::new(),
            waiting: UnsafeCell::new(WaitQueue::new()),
        }
    }

    /// Raises the counter by `n`.
    ///
    /// # Panics
    /// If it exceeded [`MOST`]; it stays as it was.
    #[track_caller]
    pub(crate) fn add(&self, n: usize) {
        let raised = self
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                count.checked_add(n).filter(|sum| *sum <= MOST)
            });
        assert!(
            raised.is_ok(),
            "WaitGroup::add({n}): the counter would exceed isize::MAX; to lower it call done()"
        );
    }

    /// Lowers the counter by one; at 0 everybody who waits goes on.
    ///
    /// # Panics
    /// If the counter is 0 already; it stays 0.
    #[track_caller]
    pub(crate) fn done(&self) {
        let lowered = self
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| {
                (count > 1).then(|| count - 1)
            });
        if lowered.is_err() {
            self.last_done();
        }
    }

    /// Waits until the counter is 0.
    pub(crate) fn wait(&self) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let waiter = Waiter::new(Offer::Message, Claim::ByLock);
        let parker = Parker::new();
        waiter.set_up(&parker, 0, std::ptr::null_mut());
        self.lock.lock();
        // Under the lock: a `done` that reaches 0 after this look finds us in the queue.
        let must_wait = self.count.load(Ordering::Acquire) != 0;
        if must_wait {
            // SAFETY: the lock is held; whoever unparks us has taken the waiter out.
            unsafe { (*self.waiting.get()).push(&waiter) };
        }
        // SAFETY: locked above, and the queue is not used any more.
        unsafe { self.lock.unlock() };
        if must_wait {
            parker.park(None);
        }
    }

    /// The step to 0 and the taking of those who wait are one, under the lock: who waits for a next round queues after it.
    #[cold]
    #[track_caller]
    fn last_done(&self) {
        self.lock.lock();
        let lowered = self
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| {
                count.checked_sub(1)
            });
        // SAFETY: the lock is held.
        let waiting = (lowered == Ok(1)).then(|| unsafe { (*self.waiting.get()).take_all() });
        // SAFETY: locked above, and the queue is not used any more.
        unsafe { self.lock.unlock() };
        if let Some(waiting) = waiting {
            waiting.end(Verdict::Done);
        }
        assert!(
            lowered.is_ok(),
            "WaitGroup::done: negative counter; call add() before the goroutine starts, and done() once in each"
        );
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup")
            .field("count", &self.count.load(Ordering::Relaxed))
            .finish()
    }
}
