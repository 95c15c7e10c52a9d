//! Counts how much all workers have done. There is a counter for each thread, because a goroutine
//! never changes its thread.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Counter(AtomicU64);

static COUNTERS: Mutex<Vec<&Counter>> = Mutex::new(Vec::new());

thread_local! {
    static MINE: &'static Counter = {
        let counter = Box::leak(Box::default());
        COUNTERS.lock().unwrap().push(counter);
        counter
    };
}

/// Counts an operation of the calling thread.
pub(crate) fn add_one() {
    // No other thread writes this counter.
    MINE.with(|Counter(mine)| mine.store(mine.load(Relaxed) + 1, Relaxed));
}

/// Returns the number of operations of all threads.
pub(crate) fn total() -> u64 {
    let counters = COUNTERS.lock().unwrap();
    counters.iter().map(|counter| counter.0.load(Relaxed)).sum()
}
