//! Waits that only the clock ends. The public functions are in `time`.

use std::thread;
use std::time::Instant;

use super::parker::Parker;
use super::reason::{WaitReason, Why};
use super::yielding::note_failed_poll;
use crate::clock;

/// Parks the calling goroutine, or blocks the calling thread, until `when`, or for ever if that is
/// `None`, for `reason`.
pub(crate) fn sleep_until(reason: WaitReason, when: Option<Instant>) {
    if when.is_some_and(|when| when <= clock::now()) {
        note_failed_poll();
        return;
    }
    // No other code knows this parker, so only the clock can end the wait.
    let parker = Parker::new();
    parker.note(Why::alone(reason));
    parker.park_quietly(when);
}

/// Parks the caller for ever. Other goroutines go on.
pub fn park_forever() -> ! {
    loop {
        sleep_until(WaitReason::SelectNoCases, None);
        // Only a plain thread comes here, if another thread unparks it through its std handle.
        thread::yield_now();
    }
}
