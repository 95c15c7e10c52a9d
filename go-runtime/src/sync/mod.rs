//! Synchronisation beyond channels. Everything here parks goroutines and blocks plain threads.

mod mutex;
mod patience;
mod raw_mutex;
mod wait_group;

pub use mutex::{Mutex, MutexGuard};
pub use wait_group::WaitGroup;
