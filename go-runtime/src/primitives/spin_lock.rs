//! A spin lock for short critical sections (the longest: growing a buffer, and a close, which runs
//! over all who wait).
//!
//! A goroutine never parks while it holds one, and no user code (a `Drop`, a `Clone`, a value
//! expression) runs under one: so whoever holds it is running on some thread and will be done soon,
//! unless the system took its thread away, in which case waiters give their time slice back.
//! Unlocking is a plain store, which is why this is no `Mutex`: on the hand-over of a message
//! between two goroutines of one worker, the lock is most of what is left to pay.

use std::hint;

use super::atomic::{AtomicBool, Ordering};
use super::backoff::Backoff;
use super::prefetch::prefetch_to_write;

/// How long who is patient pauses between two looks: about 100 ns. (Measured with a buffered
/// channel between two workers, 5 sets: 57 ns a message without, 39 with 8, 37 with 16.)
const SPINS: u32 = 8;

/// The lock itself, for those who keep what it guards elsewhere (select locks many channels at
/// once).
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

    /// Where it stands in the order in which selects, which need several channels' locks, take
    /// them. (A descriptor's edges have theirs before a channel's: see `net::edges`.)
    #[inline]
    pub(crate) fn rank(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Returns once the calling thread holds the lock.
    #[inline]
    pub(crate) fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended(0);
        }
    }

    /// [`lock`](Self::lock) that looks less often, so that the holder finds the lock in its own
    /// cache the next times too: for what both sides use many times in a row. Who waits for the
    /// other one's next step only loses by it.
    #[inline]
    pub(crate) fn lock_with_backoff(&self) {
        if !self.try_lock() {
            self.lock_contended(SPINS);
        }
    }

    /// For one who is about to take several.
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
            // Waiters read, so that they share the cache line until it is worth fighting for.
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

    /// Lets the next one in.
    ///
    /// # Safety
    /// The caller holds the lock, and ends every use of what it guards before this call.
    #[inline]
    pub(crate) unsafe fn unlock(&self) {
        self.locked.store(false, Ordering::Release);
    }
}
