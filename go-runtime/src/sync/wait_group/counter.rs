//! The counter that the clones of a [`WaitGroup`](super::WaitGroup) share. A scope counts its
//! goroutines with it, too.
//!
//! This module owns the count and the queue of waiters; any thread may use both. The step to 0 and
//! the removal of all waiters happen together, under the queue's lock. All other changes of the
//! count are single atomic operations.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Instant;

use crate::clock;
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::wait::{self, Observable, WaitList, WaitReason, Woken};

/// Maximum count; a larger number was meant to be negative.
const MOST: usize = isize::MAX as usize;

/// A count, and the queue of waiters for a count of 0.
pub(crate) struct Counter {
    count: AtomicUsize,
    waiting: WaitList,
}

// Unwind-safe: misuse of a counter panics before the counter is changed.
impl UnwindSafe for Counter {}
impl RefUnwindSafe for Counter {}

impl Counter {
    /// Returns a counter with a count of 0.
    pub(crate) fn new() -> Counter {
        Counter {
            count: AtomicUsize::new(0),
            waiting: WaitList::new(()),
        }
    }

    /// Runs `f`, a goroutine of those that are counted.
    pub(crate) fn counted<T>(&self, f: impl FnOnce() -> T) -> T {
        wait::in_group((&raw const self.waiting).addr(), f)
    }

    /// Raises the counter by `n`.
    ///
    /// # Panics
    /// If the counter would exceed [`MOST`]; it stays as it was.
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

    /// Lowers the counter by one; at 0 wakes all waiters.
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
    pub(crate) fn wait(&self, reason: WaitReason) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        // This check is made under the queue's lock, so a `done` that reaches 0 after the check
        // finds the waiter in the queue.
        let still = || self.count.load(Ordering::Acquire) != 0;
        self.waiting.wait_for_event(reason, still, || None, None);
    }

    /// Waits until the counter is 0, until `deadline`, or until `done` is ready. Never returns
    /// `ByNothing`.
    pub(crate) fn wait_until(
        &self,
        deadline: Option<Instant>,
        done: Option<&dyn Observable>,
    ) -> Woken {
        loop {
            let still = || self.count.load(Ordering::Acquire) != 0;
            match self
                .waiting
                .wait_for_event(WaitReason::WaitGroupWait, still, || deadline, done)
            {
                Woken::ByNothing => {}
                // The wait ended before the deadline, when the message of a timed done channel fell
                // due; but another receiver took that message.
                Woken::TimedOut if deadline.is_none_or(|deadline| deadline > clock::now()) => {}
                woken => return woken,
            }
        }
    }

    /// Slow path of `done`: lowers the counter to 0 and wakes all waiters.
    ///
    /// Both happen together under the queue's lock, so a waiter of the next round enters the queue
    /// afterwards.
    #[cold]
    #[track_caller]
    fn last_done(&self) {
        let (lowered, waiting) = self.waiting.with(|held| {
            let lowered = self
                .count
                .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| {
                    count.checked_sub(1)
                });
            (lowered, (lowered == Ok(1)).then(|| held.take_all()))
        });
        if let Some(waiting) = waiting {
            waiting.finish();
        }
        assert!(
            lowered.is_ok(),
            "WaitGroup::done: negative counter; call add() before the goroutine starts, and done() \
             once in each"
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
