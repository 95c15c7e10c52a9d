//! The few building blocks under the scheduler and the channels: atomics, a spin lock, a random source.
//!
//! The protocols above are written against `primitives::atomic` and nothing else that touches memory
//! shared between threads, so that the model checker (`tests/model`) can compile the very same files
//! with its own atomics in place of these.

pub(crate) mod backoff;
pub(crate) mod random;
pub(crate) mod spin_lock;

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering, fence,
    };
}
