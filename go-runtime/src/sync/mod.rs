//! Synchronisation beyond channels. Everything here parks goroutines and blocks plain threads.

mod wait_group;

pub use wait_group::WaitGroup;
