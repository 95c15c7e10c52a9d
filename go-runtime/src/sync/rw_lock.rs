//! `std::sync::RwLock` for goroutines.
//!
//! This module owns the guarded value, the guards, and the poisoning. [`RawRwLock`] is the lock
//! itself. The value is used through a guard only, or through `&mut RwLock`.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};
use std::thread;

use super::raw_rw_lock::RawRwLock;
use crate::primitives::atomic::Ordering;
use crate::wait;

/// A reader-writer lock that parks goroutines: [`std::sync::RwLock`] for goroutines.
///
/// Many readers may hold the lock at the same time, or one writer. While a goroutine waits for the
/// lock, its worker runs other goroutines. The names, the errors and the poisoning are std's, so a
/// change of the import replaces std's `RwLock` by this one. Goroutines and plain threads may use
/// the same lock at the same time; a thread that waits is blocked. Unlike std's guards, these may
/// be held across an operation that blocks the goroutine: on a channel, a `sleep`, or another lock.
///
/// ```
/// use go_runtime::{scope, sync::RwLock};
///
/// let names = RwLock::new(vec!["gopher"]);
/// scope(|s| {
///     for _ in 0..10 {
///         s.spawn(|| assert!(names.read().unwrap().contains(&"gopher")));
///     }
///     s.spawn(|| names.write().unwrap().push("crab"));
/// });
/// assert_eq!(names.into_inner().unwrap().len(), 2);
/// ```
///
/// As a static:
///
/// ```
/// use go_runtime::sync::RwLock;
///
/// static LIMIT: RwLock<u32> = RwLock::new(10);
/// *LIMIT.write().unwrap() += 1;
/// assert_eq!(*LIMIT.read().unwrap(), 11);
/// ```
///
/// # Fairness
///
/// The rules are those of Go's `sync.RWMutex`. A waiting writer keeps out the readers that come
/// after it, and waits for the readers that came before it. When the writer is done, all readers
/// that came meanwhile go in, before the next writer. So neither side starves. Writers among
/// themselves follow the rules of [`Mutex`](super::Mutex#fairness).
///
/// If each read is short, a [`Mutex`](super::Mutex) is faster for readers, too, because all readers
/// of an `RwLock` update the same counter.
///
/// # Deadlocks
///
/// A goroutine or thread that calls `read` while it holds a read guard waits forever if a writer
/// has come in between, because that writer waits for the first guard to be dropped. A caller that
/// holds a read guard and calls `write`, or holds a write guard and calls either, always waits
/// forever. There is no panic, and no report. An async task that waits blocks its executor's
/// thread.
///
/// A goroutine that is unwinding does not switch (see [the crate's page on panics](crate#panics)).
/// A `Drop` waits forever for a lock that is held by a goroutine parked on the same worker; if the
/// `Drop` calls `write`, also for a lock that such a goroutine has just been let in to. Use
/// [`try_read`](RwLock::try_read) and [`try_write`](RwLock::try_write) in such a `Drop`, or take no
/// lock there. (A `read` in such a `Drop` does not wait for writers that are themselves waiting.)
///
/// # Poisoning
///
/// Like std's, a lock is *poisoned* if the guard of a writer is dropped by a panic: from then on
/// `read` and `write` return the guard in an error, until [`clear_poison`](RwLock::clear_poison) is
/// called. Readers that panic do not poison the lock.
// The alignment keeps a small value in one cache line with the end of the lock, as in a `Mutex`.
#[repr(C, align(16))]
pub struct RwLock<T: ?Sized> {
    /// The lock, whose `writers.flag` says that the lock is poisoned.
    raw: RawRwLock,
    value: UnsafeCell<T>,
}

// SAFETY: sending the lock sends the value, which is `Send`. `RawRwLock` has no ties to a thread,
// and no waiter is queued while the lock is moved, because each waiter borrows the lock.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}

// SAFETY: readers on several threads have `&T` at once, which requires `T: Sync`. A writer on any
// thread has `&mut T`, alone, and can move the value out, which requires `T: Send`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

// Poisoning reports a value that a panic has left half changed.
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

/// A guard that gives shared access to the value of an [`RwLock`], and unlocks it when dropped.
///
/// Like std's guard it is not `Send`.
///
/// ```compile_fail,E0277
/// fn is_send<T: Send>(_: T) {}
/// let lock = go_runtime::sync::RwLock::new(0);
/// is_send(lock.read());
/// ```
#[must_use = "if unused the lock is unlocked at once"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'a, T: ?Sized + 'a> {
    /// A pointer and not a reference: a reference in an argument must stay valid until the function
    /// returns, but a writer may change the value as soon as the function has dropped the guard.
    /// `NonNull` is covariant, as `&T` is: a guard of a longer-lived `T` serves where a
    /// shorter-lived one is expected.
    value: NonNull<T>,
    raw: &'a RawRwLock,
    /// Makes the guard not `Send`; the compiler's message names std's guard.
    not_send: PhantomData<std::sync::RwLockReadGuard<'static, ()>>,
}

// SAFETY: a shared reference to the guard gives access to `&T` only, and `T` is `Sync`.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

/// A guard that gives exclusive access to the value of an [`RwLock`], and unlocks it when dropped.
///
/// Like std's guard it is not `Send`.
///
/// ```compile_fail,E0277
/// fn is_send<T: Send>(_: T) {}
/// let lock = go_runtime::sync::RwLock::new(0);
/// is_send(lock.write());
/// ```
#[must_use = "if unused the lock is unlocked at once"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'a, T: ?Sized + 'a> {
    lock: &'a RwLock<T>,
    /// Whether the thread was already unwinding when the lock was taken. A panic from before that
    /// moment is no reason to poison the lock.
    panicking: bool,
    /// Makes the guard not `Send`; the compiler's message names std's guard.
    not_send: PhantomData<std::sync::RwLockWriteGuard<'static, ()>>,
}

// SAFETY: a shared reference to the guard gives access to `&T` only, and `T` is `Sync`.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<T> RwLock<T> {
    /// Returns an unlocked lock with `value`.
    #[inline]
    #[must_use]
    pub const fn new(value: T) -> RwLock<T> {
        RwLock {
            raw: RawRwLock::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Consumes the lock and returns the value.
    ///
    /// # Errors
    /// If the lock is poisoned; the error contains the value.
    pub fn into_inner(self) -> LockResult<T> {
        let poisoned = self.is_poisoned();
        result(poisoned, self.value.into_inner())
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Takes the lock for reading, and waits while there is a writer, inside or waiting.
    ///
    /// The caller may read until the guard is dropped; other readers may do so at the same time.
    ///
    /// # Errors
    /// If the lock is poisoned, because a writer has panicked with the lock. The lock is taken all
    /// the same, and the error contains the guard.
    ///
    /// # Panics
    /// If there are too many readers (2^61, or 2^29 on a 32-bit machine). So many guards can only
    /// accumulate if they are forgotten.
    ///
    /// ```
    /// let lock = go_runtime::sync::RwLock::new(1);
    /// let (one, two) = (lock.read().unwrap(), lock.read().unwrap());
    /// assert_eq!(*one + *two, 2);
    /// ```
    #[inline]
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.raw.read();
        self.read_guard()
    }

    /// Takes the lock for reading without waiting, if there is no writer, inside or waiting.
    ///
    /// A goroutine that calls this in a loop without success lets other goroutines run now and
    /// then, as with [`try_recv`](crate::channel::Receiver::try_recv) (see
    /// [the crate's page on limits](crate#limits)).
    ///
    /// # Errors
    /// `WouldBlock` if the lock is not available (or there are too many readers, see
    /// [`read`](RwLock::read)); `Poisoned`, which contains the guard, if the lock is poisoned.
    ///
    /// ```
    /// use std::sync::TryLockError;
    ///
    /// let lock = go_runtime::sync::RwLock::new(1);
    /// let guard = lock.write().unwrap();
    /// assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
    /// drop(guard);
    /// assert_eq!(*lock.try_read().unwrap(), 1);
    /// ```
    #[inline]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if self.raw.try_read() {
            Ok(self.read_guard()?)
        } else {
            wait::note_failed_poll();
            Err(TryLockError::WouldBlock)
        }
    }

    /// Takes the lock for writing, and waits while any other goroutine or thread has it.
    ///
    /// The lock is given back when the guard is dropped.
    ///
    /// # Errors
    /// If the lock is poisoned, because a writer has panicked with the lock. The lock is taken all
    /// the same, and the error contains the guard.
    ///
    /// ```
    /// let lock = go_runtime::sync::RwLock::new("a");
    /// *lock.write().unwrap() = "b";
    /// assert_eq!(*lock.read().unwrap(), "b");
    /// ```
    #[inline]
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.raw.write();
        self.write_guard()
    }

    /// Takes the lock for writing without waiting, if it is free.
    ///
    /// A goroutine that calls this in a loop without success lets other goroutines run now and
    /// then, as with [`try_read`](RwLock::try_read).
    ///
    /// # Errors
    /// `WouldBlock` if the lock is not available; `Poisoned`, which contains the guard, if the lock
    /// is poisoned.
    ///
    /// ```
    /// use std::sync::TryLockError;
    ///
    /// let lock = go_runtime::sync::RwLock::new(1);
    /// let guard = lock.read().unwrap();
    /// assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    /// drop(guard);
    /// *lock.try_write().unwrap() = 2;
    /// ```
    #[inline]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        if self.raw.try_write() {
            Ok(self.write_guard()?)
        } else {
            wait::note_failed_poll();
            Err(TryLockError::WouldBlock)
        }
    }

    /// Returns whether the lock is poisoned. The answer may be out of date when it is used.
    #[inline]
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        // A holder of the lock sees what earlier writers stored, by the lock's ordering. Other
        // callers do not use the value, so for them the load needs no ordering.
        self.raw.writers.flag.load(Ordering::Relaxed)
    }

    /// Clears the poisoned state, once the caller has put the value right.
    ///
    /// ```
    /// use std::panic::catch_unwind;
    ///
    /// let lock = go_runtime::sync::RwLock::new(0);
    /// let _ = catch_unwind(|| {
    ///     let guard = lock.write().unwrap();
    ///     panic!("with the guard");
    /// });
    /// *lock.write().unwrap_err().into_inner() = 1;
    /// lock.clear_poison();
    /// assert_eq!(*lock.read().unwrap(), 1);
    /// ```
    #[inline]
    pub fn clear_poison(&self) {
        self.raw.writers.flag.store(false, Ordering::Relaxed);
    }

    /// Returns the value without locking, as the exclusive borrow excludes all other users.
    ///
    /// # Errors
    /// If the lock is poisoned; the error contains the reference.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let poisoned = self.is_poisoned();
        result(poisoned, self.value.get_mut())
    }

    /// Returns the guard of a caller that has just become a reader.
    #[inline]
    fn read_guard(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        let guard = RwLockReadGuard {
            // SAFETY: `UnsafeCell::get` returns the address of a field of `self`, which is not
            // null.
            value: unsafe { NonNull::new_unchecked(self.value.get()) },
            raw: &self.raw,
            not_send: PhantomData,
        };
        result(self.is_poisoned(), guard)
    }

    /// Returns the guard of a caller that has just become the writer.
    #[inline]
    fn write_guard(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let guard = RwLockWriteGuard {
            lock: self,
            panicking: thread::panicking(),
            not_send: PhantomData,
        };
        result(self.is_poisoned(), guard)
    }
}

#[inline]
fn result<T>(poisoned: bool, data: T) -> LockResult<T> {
    if poisoned {
        Err(PoisonError::new(data))
    } else {
        Ok(data)
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Turns the write guard into a read guard; no other writer gets the lock in between.
    ///
    /// Other readers may read from then on, too.
    ///
    /// ```
    /// use go_runtime::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(0);
    /// let mut guard = lock.write().unwrap();
    /// *guard = 1;
    /// let guard = RwLockWriteGuard::downgrade(guard);
    /// assert_eq!(*guard + *lock.read().unwrap(), 2);
    /// ```
    pub fn downgrade(s: Self) -> RwLockReadGuard<'a, T> {
        let lock = s.lock;
        mem::forget(s);
        // SAFETY: the write guard held the lock, and was leaked without unlocking, so the caller is
        // the writer. The read guard made below only reads the value.
        unsafe { lock.raw.downgrade() };
        lock.read_guard().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the caller of `read_guard` had become a reader, or was a writer that had been
        // downgraded to a reader. That reading ends only here. The value is read through the guard
        // only, which is being dropped.
        unsafe { self.raw.done_reading() };
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // `thread::panicking` reports the state of the thread, which is that of the calling
        // goroutine here: see the `Drop` of `MutexGuard`.
        if !self.panicking && thread::panicking() {
            self.lock.raw.writers.flag.store(true, Ordering::Relaxed);
        }
        // SAFETY: the lock was taken for writing before the guard was made and is given back here
        // only (or in `downgrade`, which forgets the guard), so the caller is the writer. The value
        // is used through the guard only, which is being dropped.
        unsafe { self.lock.raw.done_writing() };
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the pointer is to the value in the lock, which the guard borrows for `'a` through
        // `raw`, so the value lives. The guard is a reader as long as it lives, and while there is
        // a reader no writer is inside.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock for writing as long as it lives, so there is no other
        // access to the value; and the guard gives out `&mut T` only while it is itself borrowed
        // mutably, so none exists during this shared borrow of the guard.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock for writing as long as it lives, so there is no other
        // access to the value; and the guard is borrowed mutably for as long as the reference
        // lives.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> RwLock<T> {
        RwLock::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("RwLock");
        // The raw lock's `try_read` does not let other goroutines run, as `RwLock::try_read` may:
        // the caller may hold anything while it prints.
        if self.raw.try_read() {
            let guard = self.read_guard().unwrap_or_else(PoisonError::into_inner);
            text.field("data", &&*guard);
        } else {
            text.field("data", &format_args!("<locked>"));
        }
        text.field("poisoned", &self.is_poisoned());
        text.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    /// Sets the count of readers directly, because leaking that many guards would take too long.
    #[test]
    fn too_many_readers_are_refused() {
        let lock = RwLock::new(());
        let most = 1 << (usize::BITS - 3);
        lock.raw.readers.store(most - 1, Ordering::Relaxed);
        mem::forget(lock.read());
        for _ in 0..3 {
            let message = catch_unwind(|| drop(lock.read())).unwrap_err();
            let message = message.downcast_ref::<&str>().unwrap();
            assert!(message.contains("too many readers"), "{message}");
            assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
            assert_eq!(lock.raw.readers.load(Ordering::Relaxed), most);
        }
    }
}
