//! The types that goroutines and threads synchronize with.

mod barrier;
mod condvar;
mod errgroup;
mod mutex;
mod once;
mod pool;
mod rw_lock;
mod semaphore;
mod singleflight;
mod wait_group;
