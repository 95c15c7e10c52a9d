//! How long a goroutine may have its worker for waiting: for one that polls in vain, and for one that is about to block and might as well
//! look for its wake-up for a moment.

use std::thread;
use std::time::Duration;

use super::Worker;
use crate::clock;

/// How long a goroutine may poll in vain before others run, as long as Go lets one run: 10 ms. The clock is read at every fourth poll.
const SLICE: Duration = Duration::from_millis(10);
const POLLS_A_LOOK: u32 = 4;

impl Worker {
    /// The current goroutine has asked for something that is not there, and did not wait. It may be doing so all the time, for
    /// what only those can give who wait behind it: after a while, others run first.
    pub(crate) fn note_vain_poll(&self) {
        let polls = self.vain_polls.get();
        self.vain_polls.set(polls.wrapping_add(1));
        if !polls.is_multiple_of(POLLS_A_LOOK) {
            return;
        }
        let now = clock::now();
        match self.vain_since.get() {
            Some(since) if polls > 0 => {
                if now - since >= SLICE && !thread::panicking() {
                    self.give_way();
                }
            }
            _ => self.vain_since.set(Some(now)),
        }
    }

    /// Lets all others run first. Who was woken from elsewhere, or by the clock, has waited as well.
    pub(crate) fn give_way(&self) {
        self.collect_mail();
        self.fire_timers();
        while self.timers_left.get() {
            self.fire_timers();
        }
        self.yield_now();
    }

    /// Whether a goroutine that is about to block should look for its wake-up for a moment: nothing else can run here,
    /// somebody else is awake to wake it, and it has paid off of late.
    #[inline]
    pub(in crate::sched) fn worth_spinning(&self) -> bool {
        let credit = self.spin_credit.get();
        if credit <= 0 {
            // Try again now and then.
            self.spin_credit
                .set(if credit <= -32 { 1 } else { credit - 1 });
            return false;
        }
        self.may_spin_for_lock()
    }

    /// Whether nothing else can run here, and another worker is awake: on it the holder of a lock may be running.
    #[inline]
    pub(crate) fn may_spin_for_lock(&self) -> bool {
        self.runtime.active() > 1
            && self.ready.is_empty()
            && self.local.borrow().is_empty()
            && self.fresh.is_empty()
            && !self.seat.rest.has_mail()
            && self.runtime.idle.sleepers() + 1 < self.runtime.active()
    }

    pub(in crate::sched) fn note_spin(&self, paid: bool) {
        let credit = self.spin_credit.get();
        self.spin_credit
            .set(if paid { 8.min(credit + 2) } else { credit - 1 });
    }
}
