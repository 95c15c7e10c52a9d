//! A worker's clock: who has waited for a moment goes on, and what was to start at one is queued.

use std::time::Instant;

use smallvec::SmallVec;

use super::Worker;
use crate::clock;
use crate::sched::parking::Sleeper;
use crate::sched::timers::TimerKey;

/// So many are fired at a time. Where very many wait each is cold, and so are the tables that say
/// where its memory is: the fewer there are between the first look at one and its turn to run, the
/// more is still there.
pub(super) const AT_A_TIME: usize = 16;

impl Worker {
    /// Has the worker call `sleeper` at `deadline`, unless the timer is removed before.
    ///
    /// # Safety
    /// The sleeper's function may be called on this thread, with the sleeper's address, until the
    /// timer has fired or been removed.
    pub(in crate::sched) unsafe fn add_timer(
        &self,
        deadline: Instant,
        sleeper: Sleeper,
    ) -> TimerKey {
        let mut timers = self.timers.borrow_mut();
        let key = timers.add(deadline, sleeper);
        self.seat.alarm.set(timers.next_nanos());
        key
    }

    pub(in crate::sched) fn remove_timer(&self, key: TimerKey) {
        let mut timers = self.timers.borrow_mut();
        timers.remove(key);
        self.seat.alarm.set(timers.next_nanos());
    }

    /// Makes some of those runnable whose time has come. `true`: it has queued some that have not
    /// started.
    pub(super) fn fire_timers(&self) -> bool {
        self.timers_left.set(false);
        if self.timers.borrow().is_empty() && self.seat.delayed.is_empty() {
            return false;
        }
        let now = clock::now();
        self.fire_sleepers(now);
        let is_due = self.seat.delayed.is_due(now);
        if is_due {
            self.runtime.queue_due(self.seat, now);
            self.timers_left
                .set(self.timers_left.get() || self.seat.delayed.is_due(now));
        }
        is_due
    }

    fn fire_sleepers(&self, now: Instant) {
        let mut due: SmallVec<[Sleeper; AT_A_TIME]> = SmallVec::new();
        let mut timers = self.timers.borrow_mut();
        while due.len() < AT_A_TIME
            && let Some(sleeper) = timers.pop_due(now)
        {
            sleeper.prefetch();
            due.push(sleeper);
        }
        self.seat.alarm.set(timers.next_nanos());
        drop(timers);
        self.timers_left.set(due.len() == AT_A_TIME);
        for sleeper in due {
            // SAFETY: `add_timer` asks that the sleeper may be called until the timer has fired,
            // which it does now, or been removed. No goroutine runs on this worker between
            // `pop_due` and this call, so none has returned to free what lies at the address.
            if let Some(fiber) = unsafe { sleeper.time_out() } {
                self.make_ready(fiber);
            }
        }
    }
}
