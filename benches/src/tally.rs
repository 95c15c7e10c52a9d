//! Counts how much each worker has done. There is a counter for each thread, because a goroutine
//! never changes its thread.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::check;

/// Maximum number of threads, which is more than the runtime ever has workers.
const MOST: usize = 2048;

/// A counter on cache lines of its own.
#[repr(align(128))]
struct Counter(AtomicU64);

static COUNTERS: [Counter; MOST] = [const { Counter(AtomicU64::new(0)) }; MOST];
static TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static MINE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Returns the number of the calling thread: 0 for the first thread that calls this or [`add`], and
/// so on.
pub fn thread() -> usize {
    if let Some(mine) = MINE.get() {
        return mine;
    }
    let mine = TAKEN.fetch_add(1, Relaxed);
    check(mine < MOST, "more threads than counters");
    MINE.set(Some(mine));
    mine
}

/// Adds `n` to the counter of the calling thread.
pub fn add(n: u64) {
    let counter = &COUNTERS[thread()].0;
    // No other thread writes this counter.
    counter.store(counter.load(Relaxed) + n, Relaxed);
}

/// Returns the counter of each thread that has one.
pub fn each() -> impl Iterator<Item = u64> {
    let counters = &COUNTERS[..TAKEN.load(Relaxed).min(MOST)];
    counters.iter().map(|counter| counter.0.load(Relaxed))
}

pub fn total() -> u64 {
    each().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_counts_for_itself() {
        let counting = |n| {
            move || {
                add(n);
                add(1);
                thread()
            }
        };
        let threads = [10, 20].map(|n| std::thread::spawn(counting(n)));
        let [a, b] = threads.map(|thread| thread.join().unwrap());
        let all: Vec<u64> = each().collect();
        assert_ne!(a, b);
        assert_eq!((all[a], all[b], total()), (11, 21, 32));
    }
}
