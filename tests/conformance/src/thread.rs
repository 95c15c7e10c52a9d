//! What the tests use of `std::thread`, for goroutines.

pub use go_runtime::time::sleep;
pub use go_runtime::{scope, spawn, yield_now, JoinHandle, ScopedJoinHandle};
pub use std::thread::{panicking, Result};
