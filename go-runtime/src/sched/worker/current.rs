//! The goroutine that a worker runs, and whether it may park.
//!
//! Only the worker's thread uses this. A signal handler on that thread may interrupt any method and
//! read: each field is one word, and while a fiber runs it is in one of the two fields.

use std::cell::Cell;
use std::ptr::NonNull;

use super::exit_watch::ExitWatch;
use super::fairness::{FailedPolls, SpinCredit};
use crate::sched::fiber::Fiber;
use crate::sched::stats::{Wait, WorkerStats};

pub(super) struct Current {
    /// The fiber that runs and may park; `None` in the worker's own loop.
    parkable: Cell<Option<NonNull<Fiber>>>,
    /// The fiber that runs while it must not park. Then `parkable` is `None`, so that whatever
    /// parks a goroutine blocks the thread instead, as it does in the worker's own loop.
    unparkable: Cell<Option<NonNull<Fiber>>>,
    pub(super) failed_polls: FailedPolls,
    pub(super) spin_credit: SpinCredit,
    /// Ends all parking when a goroutine calls `exit`.
    pub(super) exit_watch: ExitWatch,
    /// Whether each park is to be checked (`GODEBUG=nesting=1`).
    pub(super) checks_nesting: bool,
}

impl Current {
    pub(super) fn new(checks_nesting: bool) -> Current {
        Current {
            parkable: Cell::new(None),
            unparkable: Cell::new(None),
            failed_polls: FailedPolls::default(),
            spin_credit: SpinCredit::default(),
            exit_watch: ExitWatch::new(),
            checks_nesting,
        }
    }

    /// Notes that the worker is about to resume `fiber`.
    #[inline]
    pub(super) fn begin(&self, fiber: NonNull<Fiber>) {
        // The switch to the fiber follows, and the compiler has to assume that the switch reads
        // memory. So a signal handler that interrupts the fiber finds the fiber here.
        self.parkable.set(Some(fiber));
        self.failed_polls.reset();
    }

    /// Notes that the fiber has suspended.
    #[inline]
    pub(super) fn end(&self) {
        self.parkable.set(None);
    }

    /// Returns the fiber that runs, if any and if it may park.
    #[inline]
    pub(super) fn parkable(&self) -> Option<NonNull<Fiber>> {
        self.parkable.get()
    }

    /// Returns the fiber that runs, whether it may park or not.
    #[inline]
    pub(super) fn running(&self) -> Option<NonNull<Fiber>> {
        self.parkable.get().or_else(|| self.unparkable.get())
    }

    /// Keeps the running goroutine from parking until it has ended.
    pub(super) fn forbid_parking(&self) {
        if let Some(fiber) = self.parkable.get() {
            // `unparkable` is set first, so that a signal handler always finds the fiber in one of
            // the two fields.
            self.unparkable.set(Some(fiber));
            self.parkable.set(None);
        }
    }

    /// Runs `f` in the current goroutine so that nothing in it can park.
    pub(super) fn without_parking<T>(&self, stats: &WorkerStats, f: impl FnOnce() -> T) -> T {
        /// Lets the fiber park again when the region ends, by a return or a panic.
        struct Region<'a>(&'a Current, &'a WorkerStats);
        impl Drop for Region<'_> {
            fn drop(&mut self) {
                self.0.parkable.set(self.0.unparkable.get());
                self.0.unparkable.set(None);
                self.1.set_wait(None);
            }
        }
        if self.parkable.get().is_none() {
            // The caller is in such a region already, or in the worker's own loop, which never
            // parks.
            return f();
        }
        self.forbid_parking();
        stats.set_wait(Some(Wait::WithoutParking));
        let _region = Region(self, stats);
        f()
    }
}
