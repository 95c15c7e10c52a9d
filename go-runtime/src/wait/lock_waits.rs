//! How long goroutines and threads have waited for locks, all together.
//!
//! Only operations that had to wait come here, after the wait, so an uncontended lock counts
//! nothing. Any thread adds to the sum.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;

/// The sum of all waits, in nanoseconds.
static TOTAL: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(0));

/// Notes that the caller has waited for a `Mutex` or an `RwLock`.
pub(crate) fn note_lock_wait(waited: Duration) {
    TOTAL.fetch_add(waited.as_nanos() as u64, Ordering::Relaxed);
}

/// Returns how long all waits for locks have taken together since the process began.
pub(crate) fn lock_waits() -> Duration {
    Duration::from_nanos(TOTAL.load(Ordering::Relaxed))
}
