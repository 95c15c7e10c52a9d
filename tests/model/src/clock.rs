//! The clock of a model. Time stands still unless the model moves it: loom decides, in
//! `Parker::park`, whether a deadline has come.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

thread_local! {
    /// The time that has passed. (All of loom's threads run on one thread of the system.)
    pub(crate) static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

pub(crate) fn now() -> Instant {
    static NOW: OnceLock<Instant> = OnceLock::new();
    *NOW.get_or_init(Instant::now) + PASSED.get()
}

pub(crate) fn after(_: Duration) -> Option<Instant> {
    (!crate::mutexes::NEVER_STARVES.get()).then(now)
}
