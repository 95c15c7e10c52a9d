//! The operations that let other goroutines run in the runtime, and let loom's other threads run
//! here.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::{WaitReason, Why};

loom::thread_local! {
    static UNWINDS: Cell<bool> = Cell::new(false);
}

/// Makes the calling thread count as a goroutine that is unwinding.
pub(crate) fn unwind() {
    UNWINDS.with(|unwinds| unwinds.set(true));
}

pub(crate) fn may_switch() -> bool {
    !UNWINDS.with(Cell::get)
}

pub(crate) fn note_failed_poll() {}

pub(crate) fn before_a_wait() {}

pub(crate) fn note_lock_wait(_: Duration) {}

pub(crate) fn sleep_briefly(_: Why) {
    loom::thread::yield_now();
}

pub(crate) fn yield_to_others() {
    loom::thread::yield_now();
}

/// Spins at most once, as there would be too many orders otherwise.
pub(crate) fn spin_for_lock(rounds: u32) -> bool {
    rounds == 0 && crate::mutexes::SPINS.get()
}

/// Unused: no model has timed channels.
pub(crate) fn sleep_until(_: WaitReason, _: Option<Instant>) {
    loom::thread::yield_now();
}
