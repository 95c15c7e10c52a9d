//! A worker's clock: who has waited for a moment goes on, and what was to start at one is queued.

use std::ptr::NonNull;
use std::time::Instant;

use smallvec::SmallVec;

use super::Worker;
use crate::clock;
use crate::primitives::prefetch::prefetch;
use crate::sched::parker::Parker;
use crate::sched::timers::TimerKey;

/// So many are fired at a time. Where very many wait each is cold, and so are the tables that say
/// where its memory is: the fewer there are between the first look at one and its turn to run, the
/// more is still there.
pub(super) const AT_A_TIME: usize = 16;

/// What has a worker get up at a moment points at a parker on the stack of a goroutine of the same
/// worker, which removes it before the parker goes.
pub(super) type Sleeper = NonNull<Parker>;

impl Worker {
    /// # Safety
    /// The parker stays where it is until the timer has fired or been removed.
    pub(in crate::sched) unsafe fn add_timer(
        &self,
        deadline: Instant,
        parker: &Parker,
    ) -> TimerKey {
        let mut timers = self.timers.borrow_mut();
        let key = timers.add(deadline, NonNull::from(parker));
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
            && let Some(parker) = timers.pop_due(now)
        {
            let start = parker.as_ptr().cast::<u8>();
            prefetch(start);
            prefetch(start.wrapping_add(size_of::<Parker>() - 1));
            due.push(parker);
        }
        self.seat.alarm.set(timers.next_nanos());
        drop(timers);
        self.timers_left.set(due.len() == AT_A_TIME);
        for parker in due {
            // SAFETY: the goroutine that added the timer is parked on this worker until it removes
            // it.
            if let Some(fiber) = unsafe { parker.as_ref().time_out() } {
                self.make_ready(fiber);
            }
        }
    }
}
