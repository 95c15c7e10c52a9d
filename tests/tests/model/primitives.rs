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
/// The runtime's lock, for its own check.
#[path = "../../../go-runtime/src/primitives/spin_lock.rs"]
pub(crate) mod real_spin_lock;

/// A stand-in for the channels' checks: loom knows who waits for it, and need not try how often they might look.
pub(crate) mod spin_lock {
    use std::cell::RefCell;

    use loom::sync::{Mutex, MutexGuard};

    pub(crate) struct RawSpinLock {
        // Dropped first.
        held: RefCell<Option<MutexGuard<'static, ()>>>,
        mutex: Box<Mutex<()>>,
    }

    impl RawSpinLock {
        pub(crate) fn new() -> Self {
            RawSpinLock {
                held: RefCell::new(None),
                mutex: Box::new(Mutex::new(())),
            }
        }

        pub(crate) fn lock(&self) {
            let guard = self.mutex.lock().unwrap();
            // SAFETY: the guard lies beside its mutex, and goes before it.
            let guard = unsafe {
                std::mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard)
            };
            *self.held.borrow_mut() = Some(guard);
        }

        pub(crate) unsafe fn unlock(&self) {
            let guard = self.held.borrow_mut().take();
            drop(guard);
        }
    }
}
