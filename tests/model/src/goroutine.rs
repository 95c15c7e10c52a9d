//! Stands in for the goroutines; no model has timed channels.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

static NUMBERS: AtomicUsize = AtomicUsize::new(1);

// All of loom's threads run on one thread of the system; only loom's own thread-locals tell
// them apart.
loom::thread_local! {
    static NUMBER: usize = NUMBERS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn caller() -> usize {
    NUMBER.with(|number| *number)
}

pub(crate) struct DelayedSpawn;

impl DelayedSpawn {
    pub(crate) fn new<F>(_: Option<Instant>, _: F) -> std::io::Result<DelayedSpawn> {
        unreachable!("timed channels are in no model")
    }

    pub(crate) fn stop(&self) -> bool {
        unreachable!("timed channels are in no model")
    }
}
