//! loom's atomics under the names of the runtime's.

pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering, fence,
    };
}
pub(crate) mod backoff {
    /// Waiting for another thread: loom has to run it.
    pub(crate) struct Backoff;
    impl Backoff {
        pub(crate) fn new() -> Self {
            Backoff
        }
        pub(crate) fn snooze(&self) {
            loom::thread::yield_now();
        }
    }
}
#[path = "../../../go-runtime/src/primitives/spin_lock.rs"]
pub(crate) mod spin_lock;
