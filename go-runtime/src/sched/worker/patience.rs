//! How long a goroutine may have its worker for waiting: for one that polls in vain, and for one
//! that is about to block and might as well look for its wake-up for a moment.

use std::thread;

use super::Worker;

/// So many polls in vain, some microseconds of them, and others on this worker run first. Much
/// more, and consumers that poll a closed channel keep the senders of an open one waiting: `--test
/// starvation`.
const VAIN_POLLS: u32 = 32;
/// The same for polls that are far between, in ticks of the monitor: 5 to 10 ms, as long as Go lets
/// a goroutine run.
const VAIN_TICKS: u32 = 2;

impl Worker {
    /// The current goroutine has asked for something that is not there, and did not wait. It may be
    /// doing so all the time, for something that only a goroutine behind it can give: after a
    /// while, others run first.
    pub(crate) fn note_vain_poll(&self) {
        let polls = self.vain_polls.get().saturating_add(1);
        self.vain_polls.set(polls);
        let ticks = self.runtime.tick().wrapping_sub(self.tick.get());
        if (polls >= VAIN_POLLS || ticks >= VAIN_TICKS) && !thread::panicking() {
            if self.has_nothing_to_run() {
                // The goroutine that it waits for may be on another worker, whose thread waits for
                // this processor.
                thread::yield_now();
            }
            self.give_way();
        }
    }

    /// Lets all others run first, also those woken from elsewhere or by the clock.
    pub(crate) fn give_way(&self) {
        self.collect_mail();
        self.fire_timers();
        while self.timers_left.get() {
            self.fire_timers();
        }
        self.yield_now();
    }

    /// Whether no other goroutine can run here, as far as the worker knows without a look into its
    /// inbox.
    #[inline]
    fn has_nothing_to_run(&self) -> bool {
        self.ready.is_empty() && self.local.borrow().is_empty() && !self.seat.has_unstarted()
    }

    /// Whether a goroutine that is about to block should look for its wake-up for a moment: nothing
    /// else can run here, somebody else is awake to wake it, and it has paid off of late.
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

    /// Whether nothing else can run here, and another worker is awake: on it the holder of a lock
    /// may be running.
    #[inline]
    pub(crate) fn may_spin_for_lock(&self) -> bool {
        self.runtime.active() > 1
            && self.has_nothing_to_run()
            && !self.seat.rest.has_mail()
            && self.runtime.idle.sleepers() + 1 < self.runtime.active()
    }

    pub(in crate::sched) fn note_spin(&self, paid: bool) {
        let credit = self.spin_credit.get();
        self.spin_credit
            .set(if paid { 8.min(credit + 2) } else { credit - 1 });
    }
}
