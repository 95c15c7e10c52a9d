//! The one place where the time is read, so that a later virtual clock has one thing to replace.

use std::time::{Duration, Instant};

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The moment `duration` from now; `None` if it lies beyond what an `Instant` can say, which means never.
pub(crate) fn after(duration: Duration) -> Option<Instant> {
    now().checked_add(duration)
}
