//! The counts of sleeping and searching workers, by which new work wakes a worker without waking
//! more workers than it needs.
//!
//! Both counts are shared by all workers. A thread that queues work, and then sees no worker
//! searching and at least one asleep, notifies one sleeper ([`Idle::should_notify`]). A worker that
//! goes to sleep announces it, stops counting as searching, and only then checks the queues for the
//! last time ([`Idle::begin_final_check`]). Both the thread and the worker put a full fence between
//! their write and their read, so at least one of them sees the write of the other.

use crate::primitives::atomic::{AtomicUsize, Ordering, fence};

pub(crate) struct Idle {
    /// Number of workers that are asleep, or will be after their last check of the queues.
    sleepers: AtomicUsize,
    /// Number of workers that are awake and search for work, and of workers that were notified to
    /// do so.
    searching: AtomicUsize,
}

impl Idle {
    pub(crate) fn new() -> Idle {
        Idle {
            sleepers: AtomicUsize::new(0),
            searching: AtomicUsize::new(0),
        }
    }

    /// Returns whether the caller, which has just queued work, must notify a sleeper.
    #[inline]
    pub(crate) fn should_notify(&self) -> bool {
        fence(Ordering::SeqCst);
        self.sleepers() > 0 && self.searching() == 0
    }

    /// Notifies a sleeper. `wake` wakes one worker, if any sleeps, and takes that worker out of the
    /// sleepers' count; `work_waits` returns whether work is queued while a worker is asleep.
    pub(crate) fn notify_one(&self, wake: impl Fn() -> bool, work_waits: impl Fn() -> bool) {
        loop {
            // The worker about to be notified counts as searching already, so that other threads
            // don't notify more workers meanwhile.
            self.start_searching();
            if wake() {
                return;
            }
            // No worker was asleep. Other threads may have queued work since then and relied on the
            // worker that we counted, so we have to notify again. A worker that is not asleep yet
            // checks the queues for the last time after this.
            if !self.stop_searching() || !work_waits() {
                return;
            }
        }
    }

    pub(crate) fn start_searching(&self) {
        self.searching.fetch_add(1, Ordering::SeqCst);
    }

    /// Stops counting one worker as searching, and returns whether it was the last. Other threads
    /// relied on that worker to search, so if there is more work, the caller notifies the next
    /// sleeper.
    pub(crate) fn stop_searching(&self) -> bool {
        let last = self.searching.fetch_sub(1, Ordering::SeqCst) == 1;
        // Pairs with the fence in `should_notify`: a thread that saw us searching had queued its
        // work before, and we see that work from here on.
        fence(Ordering::SeqCst);
        last
    }

    /// Counts a worker as a sleeper. The worker calls this before its inbox says that it sleeps;
    /// the thread that changes the inbox's word back subtracts it again.
    pub(crate) fn add_sleeper(&self) {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn remove_sleeper(&self) {
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Prepares the last check of the queues by a worker whose inbox says that it sleeps. The
    /// worker sees everything queued before this; for work queued later, it will be notified.
    pub(crate) fn begin_final_check(&self, searching: bool) {
        if searching {
            self.stop_searching();
        }
        fence(Ordering::SeqCst);
    }

    /// Returns the number of sleepers; the answer may be a moment old.
    #[inline]
    pub(crate) fn sleepers(&self) -> usize {
        self.sleepers.load(Ordering::Relaxed)
    }

    /// Returns the number of searching workers; the answer may be a moment old.
    #[inline]
    pub(crate) fn searching(&self) -> usize {
        self.searching.load(Ordering::Relaxed)
    }
}
