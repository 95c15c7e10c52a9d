//! How a worker that has nothing to run looks around, goes to sleep, and gets up again.
//!
//! The order of the steps in [`Worker::sleep`] is what no wake-up gets lost in: see `idle` and
//! `inbox`, and the model checks.

use std::cell::Cell;
use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use super::Worker;
use crate::clock;

/// How soon a worker that has nothing else to do tries again to get memory for a stack.
const STACK_RETRY: Duration = Duration::from_millis(20);

/// How long an idle worker looks around before it sleeps, if work has been coming late.
const SHORT_LOOK: Duration = Duration::from_micros(20);
/// Work that came so soon, after a sleep, would have been worth looking for: it is about what two
/// workers need who wake each other in turn, and so would never find that they need not sleep.
const SOON: Duration = Duration::from_micros(250);
/// After so much looking around it lets other threads have the CPU: on a machine with more threads
/// than CPUs the one that it waits for may be among them, and spinning keeps it from running.
const ALONE: Duration = Duration::from_micros(3);
/// If the CPU comes back only after so long, another thread has had it.
const SHARED: Duration = Duration::from_micros(1);

/// What an idle worker has learnt.
pub(super) struct Looks {
    /// How long to look around before it sleeps.
    look_for: Cell<Duration>,
    /// When it slept last, work came soon.
    soon: Cell<bool>,
    /// How long to look around before others may have the CPU: less, if what it waited for came
    /// when they had.
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
    /// How long to look around before sleeping.
    pub(super) fn look_for(&self) -> Duration {
        let looks = &self.looks;
        if !looks.soon.get() && self.is_alone_awake() {
            // There is nobody who could have work for it soon, but threads that have not had any of
            // late.
            return Duration::ZERO;
        }
        looks.look_for.get()
    }

    fn is_alone_awake(&self) -> bool {
        self.runtime.idle.sleepers() + 1 >= self.runtime.active()
    }

    /// Lets a moment pass, having looked around for so long.
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

    /// Work came when it had been idle for so long, and had gone to sleep.
    pub(super) fn note_gap(&self, gap: Duration) {
        let soon = gap < SOON;
        self.looks.soon.set(soon);
        self.looks.look_for.set(if soon {
            SHORT_LOOK.max(gap * 3 / 2)
        } else {
            SHORT_LOOK
        });
    }

    /// `false`: enough others are looking already.
    pub(super) fn start_searching(&self) -> bool {
        if self.seat.rest.is_retired() {
            return false;
        }
        if !self.searching.get() {
            // One of the others may have been given work in this very moment, by this one. Then
            // that is about to come back.
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

    /// The worker is going to run something: others who relied on it to look for work, or to watch,
    /// are told.
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
        // Before it says that it sleeps, so that whoever wakes it sees the same one.
        let poller = self.seat.poller.get();
        if !self.seat.rest.fall_asleep(&self.runtime.idle) {
            self.get_up();
            return;
        }
        self.runtime.idle.last_look(self.searching.replace(false));
        if poller.is_none() && self.seat.poller.get().is_some() {
            // Made by another thread, which calls this worker once it has said that it sleeps: one
            // of the two sees the other.
            self.search_again();
            self.get_up();
            return;
        }
        if self.seat.rest.is_retired() && self.runtime.has_unstarted() {
            // Others may have relied on this one to look.
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

    /// Counts as searching again: others may have relied on this worker's last look to find all
    /// that waits, and it has found only some of it. When it starts that, it calls another worker.
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
        // Who called has counted us; if we had counted ourselves, it is one too many.
        if drained.called {
            self.on_duty.set(true);
            if self.searching.replace(true) {
                self.runtime.idle.stop_searching();
            }
        }
    }

    /// When a sleeping worker has to get up by itself.
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
