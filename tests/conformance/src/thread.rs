//! The parts of `std::thread` that the tests use, for goroutines.

pub use go_runtime::time::sleep;
pub use go_runtime::{JoinHandle, ScopedJoinHandle, scope, spawn, yield_now};
pub use std::thread::{Result, panicking};
