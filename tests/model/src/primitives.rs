//! loom's atomics under the names of the runtime's.

macro_rules! const_fn {
    ($($function:tt)*) => { $($function)* };
}
pub(crate) use const_fn;

pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering, fence,
    };
}
pub(crate) mod lock {
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}
/// A stand-in that shuffles nothing: loom has to see the same steps in each run, and the models
/// themselves put the arms in both orders.
pub(crate) mod random {
    pub(crate) fn shuffle<T>(_: &mut [T]) {}
}
/// Prefetching is only a hint, so a model leaves it out.
pub(crate) mod prefetch {
    pub(crate) const LINE: usize = 64;
    pub(crate) fn prefetch(_: *const u8) {}
    pub(crate) fn prefetch_to_write(_: *const u8) {}
}
pub(crate) mod backoff {
    /// Waits for another thread by letting loom run it.
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
/// The runtime's lock, for the check of the lock itself.
#[path = "../../../go-runtime/src/primitives/spin_lock.rs"]
pub(crate) mod real_spin_lock;

/// A stand-in for the runtime's lock in the other models. loom knows which threads wait for it, and
/// so need not explore how often they spin.
pub(crate) mod spin_lock {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use loom::sync::{Mutex, MutexGuard};

    static CREATED: AtomicUsize = AtomicUsize::new(0);

    pub(crate) struct RawSpinLock {
        // Declared first, so that the guard is dropped before its mutex.
        held: RefCell<Option<MutexGuard<'static, ()>>>,
        mutex: Box<Mutex<()>>,
        /// The lock's number in the order of creation, which replaces the address: addresses differ
        /// between runs.
        rank: usize,
    }

    // SAFETY: only the thread that holds `mutex` touches `held`, and a `Mutex` may be used from
    // many threads.
    unsafe impl Send for RawSpinLock {}
    // SAFETY: only the thread that holds `mutex` touches `held`, and a `Mutex` may be used from
    // many threads.
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
            // SAFETY: the guard borrows the boxed mutex beside it, which is neither moved nor
            // dropped before the guard, because `held` is declared first.
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
