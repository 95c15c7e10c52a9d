//! A spin lock for short critical sections (the longest are growing a buffer, and taking all
//! waiters out of a wait list, or all observers out of a channel, at once).
//!
//! A goroutine never parks while it holds one, and no user code (a `Drop`, a `Clone`, a value
//! expression) runs under one. So the holder is running on some thread and will release the lock
//! soon, unless the system has preempted its thread; waiters then yield their time slice. Unlocking
//! is a plain store, which is why this is no `Mutex`: when a message passes between two goroutines
//! of one worker, the lock is most of the remaining cost.

use std::hint;

use super::atomic::{AtomicBool, Ordering};
use super::backoff::Backoff;
use super::prefetch::prefetch_to_write;

/// Spins between two polls in `lock_with_backoff`, about 100 ns: enough to keep the cache line with
/// the holder for several messages of a buffered channel between two workers.
const SPINS: u32 = 8;

/// The lock by itself, for data that is stored elsewhere (select locks many channels at once).
pub(crate) struct RawSpinLock {
    locked: AtomicBool,
}

impl RawSpinLock {
    super::const_fn! {
        pub(crate) fn new() -> Self {
            RawSpinLock {
                locked: AtomicBool::new(false),
            }
        }
    }

    /// Returns the lock's position in the order in which a select takes the locks of several
    /// channels. (The lock of a wait list is taken before a channel's: see `wait::event`.)
    #[inline]
    pub(crate) fn rank(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Blocks until the calling thread holds the lock.
    #[inline]
    pub(crate) fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended(0);
        }
    }

    /// Locks like [`lock`](Self::lock), but polls less often, so that the holder keeps the lock's
    /// cache line for several operations. It is for locks that both sides use many times in a row.
    /// It would only delay a thread that waits for the other side's next step.
    #[inline]
    pub(crate) fn lock_with_backoff(&self) {
        if !self.try_lock() {
            self.lock_contended(SPINS);
        }
    }

    /// Prefetches the lock's cache line, for a caller that is about to take several locks.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch_to_write(std::ptr::from_ref(self).cast());
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.locked
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    fn lock_contended(&self, spins: u32) {
        let backoff = Backoff::new();
        loop {
            // Waiters only read while the lock is held, so that they share the cache line.
            while self.locked.load(Ordering::Relaxed) {
                for _ in 0..spins {
                    hint::spin_loop();
                }
                backoff.snooze();
            }
            if self.try_lock() {
                return;
            }
        }
    }

    /// Releases the lock.
    ///
    /// # Safety
    /// The caller holds the lock, and ends every use of what it guards before this call.
    #[inline]
    pub(crate) unsafe fn unlock(&self) {
        self.locked.store(false, Ordering::Release);
    }
}
