//! How long a goroutine may keep its worker: a goroutine that polls in vain, one whose operations
//! succeed all the time, and one that is about to block and may spin for its wake-up first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::Worker;
#[cfg(target_os = "linux")]
use crate::sched::nesting;

/// Value of `spin_credit` that sends every park the long way, where it is checked. So the short
/// way need not ask.
pub(super) const CHECKS_NESTING: i32 = i32::MIN;

/// Number of polls in vain, which take some microseconds, after which other goroutines of the
/// worker run first. With many more, consumers that poll a closed channel keep the senders of an
/// open one waiting (`--test starvation`).
const VAIN_POLLS: u32 = 16;
/// A slice of time in the monitor's ticks: 5 to 10 ms. After it even one poll in vain, or, when the
/// monitor has seen it too, one operation that may wait lets the others run first. Go preempts a
/// goroutine after 10 ms.
const SLICE: u32 = 2;

/// Whether any goroutine has run for 10 ms, as the monitor saw it last. It is one word for all
/// workers, so that an operation that need not ask its own worker pays for one load.
static ANY_SLICE_OVER: AtomicBool = AtomicBool::new(false);

/// Notes whether any goroutine has run for 10 ms; the monitor does so at each tick.
pub(in crate::sched) fn note_slices(any_over: bool) {
    if ANY_SLICE_OVER.load(Ordering::Relaxed) != any_over {
        ANY_SLICE_OVER.store(any_over, Ordering::Relaxed);
    }
}

/// Returns whether the calling goroutine may have run for a slice, and should ask
/// [`Worker::end_slice`].
#[inline(always)]
pub(crate) fn may_be_over() -> bool {
    ANY_SLICE_OVER.load(Ordering::Relaxed)
}

impl Worker {
    /// Notes that the current goroutine has asked for something that is not there, and did not
    /// wait. It may be polling all the time for something that only a goroutine behind it can give:
    /// after a while, the other goroutines run first.
    pub(crate) fn note_vain_poll(&self) {
        let polls = self.vain_polls.get().saturating_add(1);
        self.vain_polls.set(polls);
        if (polls >= VAIN_POLLS || self.has_run_for_a_slice()) && !thread::panicking() {
            if self.has_nothing_to_run() || !self.may_park() {
                // The goroutine that it waits for may be on another worker, whose thread waits for
                // this processor.
                thread::yield_now();
            }
            self.give_way();
        }
    }

    /// Lets the others run first if the current goroutine has run for a slice.
    pub(crate) fn end_slice(&self) {
        // (Where nothing can park there is no fiber to switch from.)
        if self.has_run_for_a_slice() && self.may_park() && !thread::panicking() {
            self.give_way();
        }
    }

    fn has_run_for_a_slice(&self) -> bool {
        self.runtime.tick().wrapping_sub(self.tick.get()) >= SLICE
    }

    /// Lets all other goroutines run first, also those woken from other threads or by the clock.
    pub(crate) fn give_way(&self) {
        self.collect_mail();
        self.fire_timers();
        while self.timers_left.get() {
            self.fire_timers();
        }
        self.yield_now();
    }

    /// Returns whether no other goroutine can run here, as far as the worker knows without a look
    /// into its inbox.
    #[inline]
    fn has_nothing_to_run(&self) -> bool {
        self.ready.is_empty() && self.local.borrow().is_empty() && !self.seat.has_unstarted()
    }

    /// Returns whether a goroutine that is about to block should spin for its wake-up: nothing else
    /// can run here, another worker is awake to wake it, and spinning has paid off of late.
    #[inline]
    pub(crate) fn worth_spinning(&self) -> bool {
        let credit = self.spin_credit.get();
        if credit <= 0 {
            if credit == CHECKS_NESTING {
                return true;
            }
            // Try again now and then.
            self.spin_credit
                .set(if credit <= -32 { 1 } else { credit - 1 });
            return false;
        }
        self.may_spin_for_lock()
    }

    /// Returns whether nothing else can run here, and another worker is awake, on which the holder
    /// of a lock may be running.
    #[inline]
    pub(crate) fn may_spin_for_lock(&self) -> bool {
        self.runtime.active() > 1
            && self.has_nothing_to_run()
            && !self.seat.rest.has_mail()
            && self.runtime.idle.sleepers() + 1 < self.runtime.active()
    }

    /// Does what there is to do before a park that is not the shortest: if the parks are to be
    /// checked (`GODEBUG=nesting=1`), which has all of them come here.
    pub(crate) fn before_long_park(&self) {
        #[cfg(target_os = "linux")]
        if self.spin_credit.get() == CHECKS_NESTING
            && let Some(task) = self.current_task()
        {
            // SAFETY: the goroutine that runs holds a reference.
            nesting::check(unsafe { task.get() });
        }
    }

    /// Notes whether a goroutine that spun was woken meanwhile.
    pub(crate) fn note_spin(&self, paid: bool) {
        let credit = self.spin_credit.get();
        if credit == CHECKS_NESTING {
            return;
        }
        self.spin_credit
            .set(if paid { 8.min(credit + 2) } else { credit - 1 });
    }
}
