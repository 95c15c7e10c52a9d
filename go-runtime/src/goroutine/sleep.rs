//! Waiting for a moment to come.

use std::thread;
use std::time::Instant;

use super::polled_in_vain;
use crate::clock;
use crate::wait::Parker;

/// Parks the calling goroutine (or blocks the calling thread) until `when`; `None` is for ever.
pub(crate) fn sleep_until(when: Option<Instant>) {
    if when.is_some_and(|when| when <= clock::now()) {
        polled_in_vain();
        return;
    }
    // Nobody else knows the parker, so only the clock can end this.
    Parker::new().park_quietly(when);
}

/// Parks for ever. Other goroutines go on.
pub fn park_forever() -> ! {
    loop {
        sleep_until(None);
        // Not reached in a goroutine; a thread may be woken by somebody who unparks it by its
        // handle.
        thread::yield_now();
    }
}
