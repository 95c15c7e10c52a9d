//! What the tests use of `std::thread`, for goroutines.

pub use go_runtime::time::sleep;
pub use go_runtime::{scope, spawn, yield_now, JoinHandle, ScopedJoinHandle};
pub use std::thread::{panicking, Result};

/// As many workers as the goroutines of the busiest test want: two that are in loops that do not wait, and who ends these.
const ENOUGH_WORKERS: usize = 3;

/// A turn of a loop that does not wait. A system takes turns among such threads; among goroutines it is up to them.
pub fn busy() {
    if go_runtime::gomaxprocs() < ENOUGH_WORKERS {
        yield_now();
    }
}
