//! Synchronisation beyond channels. Everything here parks goroutines and blocks plain threads.

mod mutex;
mod patience;
mod pool;
mod raw_mutex;
mod semaphore;
mod wait_group;

/// What [`Mutex`] says, as std's does.
#[doc(no_inline)]
pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

pub use mutex::{Mutex, MutexGuard};
pub use pool::{Pool, Pooled};
pub use semaphore::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
pub(crate) use wait_group::Counter;
pub use wait_group::WaitGroup;
