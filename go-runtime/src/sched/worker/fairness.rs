//! Limits on how long a goroutine may keep its worker: while it polls in vain, while its operations
//! always succeed, and while it spins for its wake-up before it blocks.
//!
//! Which operations yield to the worker's other goroutines although they need not wait:
//!
//! - Operations that give, that only try, or that lock or unlock (`send`, `spawn`, `try_recv`,
//!   `Mutex::unlock`) never do so when they succeed, because the caller may hold a
//!   `std::sync::Mutex` meanwhile. The exception is `Mutex::lock` while another goroutine waits for
//!   that lock and cannot run.
//!
//! - Operations that take (`recv`, a `select!` without a `default`, `acquire`, reads) may have to
//!   wait in any case, so the caller is prepared for a switch. They yield at their beginning if the
//!   goroutine has run for a slice. All of them read one word of the process, which the monitor
//!   writes: a load and a branch.
//!
//! - Operations that come to nothing (a `try_recv` of an empty channel, a receive from a closed
//!   one) yield after a number of them: what the goroutine polls for may have to come from a
//!   goroutine that waits behind it. A loop that polls a done channel is the common case.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sched::tuning::{MAX_FAILED_POLLS, SPIN_CREDIT, SPIN_PAUSE};

/// Whether any goroutine has run for a slice, as the monitor last saw it. All workers share this
/// word, so an operation pays for one load and need not ask its own worker.
static ANY_SLICE_OVER: AtomicBool = AtomicBool::new(false);

/// Notes whether any goroutine has run for a slice; the monitor does so at each tick.
pub(in crate::sched) fn note_slices(any_over: bool) {
    if ANY_SLICE_OVER.load(Ordering::Relaxed) != any_over {
        ANY_SLICE_OVER.store(any_over, Ordering::Relaxed);
    }
}

/// Returns whether the calling goroutine may have run for a slice, and should call
/// [`Worker::end_slice`](super::Worker::end_slice).
#[inline(always)]
pub(crate) fn may_be_over() -> bool {
    ANY_SLICE_OVER.load(Ordering::Relaxed)
}

/// Counts the failed polls since the running goroutine was resumed.
#[derive(Default)]
pub(super) struct FailedPolls(Cell<u32>);

impl FailedPolls {
    #[inline]
    pub(super) fn reset(&self) {
        self.0.set(0);
    }

    /// Counts a failed poll, and returns whether the goroutine should let others run.
    pub(super) fn add(&self) -> bool {
        let polls = self.0.get().saturating_add(1);
        self.0.set(polls);
        polls >= MAX_FAILED_POLLS
    }
}

/// Whether spinning paid off recently for goroutines that were about to block.
///
/// Above 0, a goroutine may spin; each spin in vain takes 1, each one that paid adds 2. Below,
/// each block takes 1, until the pause is over and one goroutine tries again.
pub(super) struct SpinCredit(Cell<i32>);

impl Default for SpinCredit {
    fn default() -> SpinCredit {
        SpinCredit(Cell::new(SPIN_CREDIT))
    }
}

impl SpinCredit {
    /// Returns whether a goroutine that is about to block may spin.
    #[inline]
    pub(super) fn take(&self) -> bool {
        let credit = self.0.get();
        if credit <= 0 {
            let next = if credit <= -SPIN_PAUSE { 1 } else { credit - 1 };
            self.0.set(next);
        }
        credit > 0
    }

    /// Notes whether a goroutine that spun was woken meanwhile.
    pub(super) fn note(&self, paid: bool) {
        let credit = self.0.get();
        self.0.set(if paid {
            SPIN_CREDIT.min(credit + 2)
        } else {
            credit - 1
        });
    }
}
