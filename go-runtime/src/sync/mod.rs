//! Synchronization beyond channels. Every type here parks goroutines and blocks plain threads.

mod barrier;
mod condvar;
mod lateness;
mod lazy_lock;
mod mutex;
mod once;
mod once_lock;
mod owner;
mod pool;
mod raw_condvar;
mod raw_mutex;
mod raw_rw_lock;
mod rw_lock;
mod semaphore;
mod wait_group;

/// The results and errors that [`Mutex`] and [`RwLock`] return, which are std's own types.
#[doc(no_inline)]
pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use lazy_lock::LazyLock;
pub use mutex::{Mutex, MutexGuard};
pub use once::{Once, OnceState};
pub use once_lock::OnceLock;
#[cfg(target_os = "linux")]
pub(crate) use owner::{Holder, holder, is_mark_of_holder};
pub use pool::{Pool, Pooled};
pub use rw_lock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
pub(crate) use wait_group::Counter;
pub use wait_group::WaitGroup;
