//! Idling: a worker without work searches other workers' queues and spins for a moment, and is
//! counted among the searching workers meanwhile. `run` has the sleep that follows. Only the
//! worker's thread uses this.
//!
//! A worker spins because a wake-up of its thread costs much more than a short spin. The length of
//! the spin depends on the worker's last sleep. If work came soon after that sleep began, the
//! worker spins half as long again as that took, since two workers that wake each other in turn
//! would otherwise sleep and be woken all the time. If work did not come soon, and all other
//! workers sleep, the worker does not spin at all.
//!
//! After the first moment each spin lets other threads have the processor, because the worker may
//! be waiting for one of them. Where another process computes, that process then has the processor
//! for some milliseconds, while a thread that wakes up from a sleep mostly preempts it. So after
//! such a yield, which the runtime's own workers do not explain, the worker's next spins end in a
//! sleep, without a yield.

use std::cell::Cell;
use std::hint;
use std::thread;
use std::time::Duration;

use super::stealing::{Found, Stealing};
use super::unstarted::Unstarted;
use crate::clock;
use crate::sched::runtime::Runtime;
use crate::sched::shared::WorkerShared;
use crate::sched::tuning::{LONG_YIELD, SPIN, SPIN_ALONE, SPIN_WORTH, YIELD_PAUSE};

pub(super) struct Idling {
    runtime: &'static Runtime,
    shared: &'static WorkerShared,
    pub(super) stealing: Stealing,
    /// Whether the worker is counted in `Idle::searching`.
    searching: Cell<bool>,
    spin: Spin,
}

/// A worker's record of how soon work comes, which determines its next spin.
struct Spin {
    /// How long to spin before the worker sleeps.
    length: Cell<Duration>,
    /// Whether work came soon when the worker slept last.
    soon: Cell<bool>,
    /// Number of sleeps until a spin may let other threads have the processor again.
    no_yield: Cell<u32>,
}

impl Idling {
    pub(super) fn new(runtime: &'static Runtime, shared: &'static WorkerShared) -> Idling {
        Idling {
            runtime,
            shared,
            stealing: Stealing::new(runtime, shared),
            searching: Cell::new(false),
            spin: Spin {
                length: Cell::new(SPIN),
                soon: Cell::new(false),
                no_yield: Cell::new(0),
            },
        }
    }

    // --- searching ---

    /// Searches for an awake worker that may not count as searching. Other workers may have
    /// searched in vain, and gone to sleep, while this worker moved tasks.
    pub(super) fn search_awake(&self, unstarted: &Unstarted, idle: bool) -> Option<Found> {
        let found = self.stealing.search(unstarted, idle)?;
        if !self.searching.get() {
            self.runtime.announce_work();
        }
        Some(found)
    }

    /// Counts the worker as searching, unless enough other workers are searching or this worker has
    /// retired. Returns whether it counts as searching.
    pub(super) fn start_searching(&self) -> bool {
        if self.shared.sleep.is_retired() {
            return false;
        }
        if !self.searching.get() {
            // One of the other searching workers may be searching only because this worker has just
            // woken it. That worker is about to wake this one in turn.
            let others = self.runtime.idle.searching();
            let others = others - usize::from(others > 0 && self.spin.soon.get());
            if others > 0 && others * 2 >= self.runtime.active() {
                return false;
            }
            self.search_again();
        }
        true
    }

    /// Counts the worker as searching, although it has announced its sleep: other workers may have
    /// relied on its last search to find all waiting tasks, and it found only some of them. When it
    /// starts a task, it notifies another worker ([`stop_searching`](Self::stop_searching)).
    pub(super) fn search_again(&self) {
        self.runtime.idle.start_searching();
        self.searching.set(true);
    }

    /// Notes that another thread notified the sleeping worker, and so counted it as searching.
    pub(super) fn note_notified(&self) {
        if self.searching.replace(true) {
            // The worker had also counted itself, so one of the two counts is taken back.
            self.runtime.idle.stop_searching();
        }
    }

    /// Notifies another worker, if need be, because this worker is going to run something: others
    /// may have relied on this worker to search, or to watch.
    pub(super) fn stop_searching(&self) {
        let was_last = self.searching.replace(false) && self.runtime.idle.stop_searching();
        if (was_last || self.stealing.is_watching()) && self.runtime.has_unstarted() {
            self.runtime.announce_work();
        }
    }

    /// Notes that the worker has announced its sleep, and makes its final search next.
    pub(super) fn begin_final_search(&self) {
        self.runtime
            .idle
            .begin_final_check(self.searching.replace(false));
    }

    // --- spinning ---

    /// Returns how long to spin before sleeping.
    pub(super) fn spin_for(&self) -> Duration {
        if !self.spin.soon.get() && self.is_alone_awake() {
            // All other workers sleep, so only threads could have work for this worker, and they
            // had none recently.
            return Duration::ZERO;
        }
        self.spin.length.get()
    }

    fn is_alone_awake(&self) -> bool {
        self.runtime.idle.sleepers() + 1 >= self.runtime.active()
    }

    /// Lets a moment pass in a spin that has lasted for `spun`.
    pub(super) fn spin(&self, spun: Duration) {
        if spun < SPIN_ALONE || self.spin.no_yield.get() > 0 {
            for _ in 0..4 {
                hint::spin_loop();
            }
            return;
        }
        let before = clock::now();
        thread::yield_now();
        if clock::now() - before >= LONG_YIELD && self.runtime.has_enough_processors() {
            self.spin.no_yield.set(YIELD_PAUSE);
        }
    }

    /// Notes that the worker, which had gone to sleep, was idle for `gap` before it woke up.
    pub(super) fn note_gap(&self, gap: Duration) {
        self.spin
            .no_yield
            .set(self.spin.no_yield.get().saturating_sub(1));
        let soon = gap < SPIN_WORTH;
        self.spin.soon.set(soon);
        self.spin
            .length
            .set(if soon { SPIN.max(gap * 3 / 2) } else { SPIN });
    }
}
