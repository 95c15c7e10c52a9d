//! The numbers of goroutines, by which people tell them apart in a dump. They count from 1.

use std::sync::atomic::{AtomicUsize, Ordering};

static NEXT: AtomicUsize = AtomicUsize::new(1);

/// Takes `count` consecutive numbers, and returns the first.
pub(crate) fn take(count: usize) -> usize {
    NEXT.fetch_add(count, Ordering::Relaxed)
}
