//! loom's atomics under the names of the runtime's.

macro_rules! const_fn {
    ($($function:tt)*) => { $($function)* };
}
pub(crate) use const_fn;

pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicUsize, Ordering, fence,
    };
}
pub(crate) mod lock {
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}
/// loom has to see the same in each run, so nothing is left to chance: the models put the arms in
/// both orders themselves.
pub(crate) mod random {
    pub(crate) fn shuffle<T>(_: &mut [T]) {}
}
/// Fetching is a hint, which a model need not take.
pub(crate) mod prefetch {
    pub(crate) const LINE: usize = 64;
    pub(crate) fn prefetch(_: *const u8) {}
    pub(crate) fn prefetch_to_write(_: *const u8) {}
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

/// A stand-in for the channels' checks: loom knows who waits for it, and need not try how often
/// they might look.
pub(crate) mod spin_lock {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use loom::sync::{Mutex, MutexGuard};

    static CREATED: AtomicUsize = AtomicUsize::new(0);

    pub(crate) struct RawSpinLock {
        // Dropped first.
        held: RefCell<Option<MutexGuard<'static, ()>>>,
        mutex: Box<Mutex<()>>,
        /// In the order of creation: addresses are not the same in each run.
        rank: usize,
    }

    // SAFETY: as the runtime's lock, it is used by many threads; `held` is touched by the thread
    // only that holds the mutex.
    unsafe impl Send for RawSpinLock {}
    // SAFETY: see `Send`.
    unsafe impl Sync for RawSpinLock {}

    impl RawSpinLock {
        pub(crate) fn new() -> Self {
            RawSpinLock {
                held: RefCell::new(None),
                mutex: Box::new(Mutex::new(())),
                rank: CREATED.fetch_add(1, Ordering::Relaxed),
            }
        }

        pub(crate) fn rank(&self) -> usize {
            self.rank
        }

        pub(crate) fn lock(&self) {
            let guard = self.mutex.lock().unwrap();
            // SAFETY: the guard lies beside its mutex, and goes before it.
            let guard = unsafe {
                std::mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard)
            };
            *self.held.borrow_mut() = Some(guard);
        }

        pub(crate) fn lock_with_backoff(&self) {
            self.lock();
        }

        pub(crate) fn prefetch(&self) {}

        pub(crate) unsafe fn unlock(&self) {
            let guard = self.held.borrow_mut().take();
            drop(guard);
        }
    }
}
