//! The building blocks below the scheduler and the channels: atomics, a spin lock, a back-off,
//! random choices, an elastic pool of threads, hints to the processor and the allocator.
//!
//! The protocols above take their atomics from `primitives::atomic`, so that the model checker
//! (`tests/model`) can compile the same source files with its own atomics instead.

pub(crate) mod backoff;
pub(crate) mod mutex;
pub(crate) mod numbers;
pub(crate) mod one_line;
pub(crate) mod prefetch;
pub(crate) mod random;
pub(crate) mod spin_lock;
pub(crate) mod thread_pool;
pub(crate) mod uncaptured;

/// Defines a function that is `const`, except in the model, whose atomics cannot be constructed in
/// a constant.
macro_rules! const_fn {
    ($(#[$attribute:meta])* $visible:vis fn $($rest:tt)*) => {
        $(#[$attribute])* $visible const fn $($rest)*
    };
}
pub(crate) use const_fn;

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        fence,
    };
}

pub(crate) mod lock {
    pub(crate) use std::sync::{Mutex, MutexGuard};
}
