//! How a worker that has nothing to run looks around, goes to sleep, and gets up again.
//!
//! No wake-up is lost because of the order of the steps in [`Worker::sleep`]: see `idle` and
//! `inbox`, and the model checks (`tests/tests/model`). Only the worker's own thread runs this.

use std::cell::Cell;
use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use super::Worker;
use crate::clock;

/// How soon a worker that has nothing else to do tries again to get memory for a stack.
const STACK_RETRY: Duration = Duration::from_millis(20);

/// How long an idle worker looks around before it sleeps, if work has not been coming soon.
const SHORT_LOOK: Duration = Duration::from_micros(20);
/// Work that came within this time, after a sleep, would have been worth spinning for: it is about
/// what two workers need that wake each other alternately. They would else never learn that they
/// need not sleep.
const SOON: Duration = Duration::from_micros(250);
/// How long an idle worker spins before it lets other threads have the CPU: on a machine with more
/// threads than CPUs one of them may be the thread that it waits for.
const ALONE: Duration = Duration::from_micros(3);
/// If `yield_now` takes this time or longer, another thread has had the CPU.
const SHARED: Duration = Duration::from_micros(1);

/// What a worker has learned about how soon work comes.
pub(super) struct Looks {
    /// How long to look around before it sleeps.
    look_for: Cell<Duration>,
    /// Whether work came soon when the worker slept last.
    soon: Cell<bool>,
    /// How long to spin before other threads may have the CPU: less, if what the worker waited for
    /// came when they had it.
    alone: Cell<Duration>,
}

impl Default for Looks {
    fn default() -> Looks {
        Looks {
            look_for: Cell::new(SHORT_LOOK),
            soon: Cell::new(false),
            alone: Cell::new(ALONE),
        }
    }
}

impl Worker {
    /// Returns how long to look around before sleeping.
    pub(super) fn look_for(&self) -> Duration {
        let looks = &self.looks;
        if !looks.soon.get() && self.is_alone_awake() {
            // No other worker could have work for this one soon, only threads, and those have not
            // had any of late.
            return Duration::ZERO;
        }
        looks.look_for.get()
    }

    fn is_alone_awake(&self) -> bool {
        self.runtime.idle.sleepers() + 1 >= self.runtime.active()
    }

    /// Lets a moment pass, after the worker has looked around for `looked_for`.
    pub(super) fn look_around(&self, looked_for: Duration) {
        let alone = &self.looks.alone;
        if looked_for < alone.get() {
            for _ in 0..4 {
                hint::spin_loop();
            }
            return;
        }
        let before = clock::now();
        thread::yield_now();
        if clock::now() - before < SHARED {
            alone.set(ALONE.min(alone.get() + ALONE / 16));
        } else if self.seat.rest.has_mail() {
            alone.set(alone.get() / 2);
        }
    }

    /// Notes that the worker, which had gone to sleep, was idle for `gap` before it got up.
    pub(super) fn note_gap(&self, gap: Duration) {
        let soon = gap < SOON;
        self.looks.soon.set(soon);
        self.looks.look_for.set(if soon {
            SHORT_LOOK.max(gap * 3 / 2)
        } else {
            SHORT_LOOK
        });
    }

    /// Counts the worker as searching. Returns whether it is: not if enough other workers are, or
    /// if it has retired.
    pub(super) fn start_searching(&self) -> bool {
        if self.seat.rest.is_retired() {
            return false;
        }
        if !self.searching.get() {
            // One of the others may just have got work from this worker, which is about to come
            // back.
            let others = self.runtime.idle.searching();
            let others = others - usize::from(others > 0 && self.looks.soon.get());
            if others > 0 && others * 2 >= self.runtime.active() {
                return false;
            }
            self.runtime.idle.start_searching();
            self.searching.set(true);
            self.on_duty.set(true);
        }
        true
    }

    /// Calls another worker, if need be, as this one is going to run something: other workers may
    /// have relied on this one to search, or to watch.
    #[inline]
    pub(super) fn go_off_duty(&self) {
        if self.on_duty.get() {
            self.stop_searching();
        }
    }

    #[inline(never)]
    fn stop_searching(&self) {
        let was_last = self.searching.replace(false) && self.runtime.idle.stop_searching();
        self.on_duty.set(false);
        if (was_last || self.watch.borrow().is_on()) && self.runtime.has_unstarted() {
            self.runtime.announce_work();
        }
    }

    pub(super) fn sleep(&self) {
        debug_assert!(self.ready.is_empty() && self.local.borrow().is_empty());
        self.batch.set(1);
        // Before the worker says that it sleeps, so that a thread that wakes it sees the same
        // poller.
        let poller = self.seat.poller.get();
        if !self.seat.rest.fall_asleep(&self.runtime.idle) {
            self.get_up();
            return;
        }
        self.runtime.idle.last_look(self.searching.replace(false));
        if poller.is_none() && self.seat.poller.get().is_some() {
            // Another thread has made the poller, and then looks whether this worker sleeps, while
            // this worker says that it sleeps and then looks for the poller. One of the two sees
            // what the other has done.
            self.search_again();
            self.get_up();
            return;
        }
        if self.seat.rest.is_retired() && self.runtime.has_unstarted() {
            // Other workers may have relied on this one to search, and it does not.
            self.runtime.announce_work();
        }
        if self.seat.has_unstarted() || self.search(true) {
            self.search_again();
            self.get_up();
            return;
        }
        let alarm = self.alarm();
        let since = clock::now();
        while self.seat.rest.is_asleep() {
            let now = clock::now();
            if alarm.is_some_and(|alarm| alarm <= now) {
                break;
            }
            let trim = self.trim_due_asleep(now, since);
            if trim.is_some_and(|trim| trim <= now) {
                self.trim(now, true);
                continue;
            }
            let until = [alarm, trim].into_iter().flatten().min();
            match (poller, until) {
                (Some(poller), _) => {
                    if poller.sleep(until, || self.seat.rest.is_asleep()) {
                        break;
                    }
                }
                (None, None) => thread::park(),
                (None, Some(until)) => thread::park_timeout(until - now),
            }
        }
        self.get_up();
        if self
            .stack_retry
            .get()
            .is_some_and(|retry| retry <= clock::now())
        {
            // Another worker, or the rest of the process, may have given memory back.
            self.stack_retry.set(None);
            self.retry_stackless();
        }
    }

    /// Counts the worker as searching again: other workers may have relied on its last look to find
    /// all that waits, and it has found only some of that. When it starts a task, it calls another
    /// worker ([`go_off_duty`](Self::go_off_duty)).
    fn search_again(&self) {
        self.runtime.idle.start_searching();
        self.searching.set(true);
        self.on_duty.set(true);
    }

    fn get_up(&self) {
        self.note_tick();
        let by_itself = self.seat.rest.wake_up(&self.runtime.idle);
        self.runtime.monitor.note_awake();
        if by_itself {
            return;
        }
        let drained = self.drain_inbox();
        // The caller has counted this worker; if the worker has counted itself, that is one too
        // many.
        if drained.called {
            self.on_duty.set(true);
            if self.searching.replace(true) {
                self.runtime.idle.stop_searching();
            }
        }
    }

    /// Returns when the sleeping worker has to get up by itself.
    fn alarm(&self) -> Option<Instant> {
        let timer = self.timers.borrow_mut().next();
        let watch = self.watch.borrow().next_look(clock::now());
        let stack = (!self.stackless.borrow().is_empty()).then(|| {
            let retry = self.stack_retry.get();
            let retry = retry.unwrap_or_else(|| clock::now() + STACK_RETRY);
            self.stack_retry.set(Some(retry));
            retry
        });
        [timer, self.seat.delayed.next(), watch, stack]
            .into_iter()
            .flatten()
            .min()
    }
}
