//! What the tests use of `std::thread`, for goroutines.

pub use go_runtime::time::sleep;
pub use go_runtime::{JoinHandle, ScopedJoinHandle, scope, spawn, yield_now};
pub use std::thread::{Result, panicking};
