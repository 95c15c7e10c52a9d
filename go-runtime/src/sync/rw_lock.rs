//! `std::sync::RwLock` for goroutines.

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

/// Lets many at a time read a value, or one write it: [`std::sync::RwLock`], but a goroutine that
/// waits for it is parked, and its worker runs others.
///
/// The names, the errors and the poisoning are std's, so it takes the place of std's by a change of
/// the import. Goroutines and plain threads may use it at the same time; a thread that waits is
/// blocked. Unlike std's, its guards may be held over whatever blocks a goroutine: a channel, a
/// `sleep`, another lock.
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
/// # Who gets it
///
/// The rules are those of Go's `sync.RWMutex`. A writer that has come keeps out those who come to
/// read after it, and waits for those who read already. When it is done all who have come to read
/// meanwhile go in, before the next writer. So nobody waits for ever. Among themselves writers go
/// by the rules of [`Mutex`](super::Mutex#who-gets-it).
///
/// Where there is little to read, a [`Mutex`](super::Mutex) is faster for readers too: they have to
/// count themselves, all in the same place.
///
/// # Deadlocks
///
/// Who reads and wants to read once more, with the first guard at hand, waits for ever if a writer
/// has come in between: the writer waits for the first guard to be dropped. Who reads and wants to
/// write, and who writes and wants anything more, waits for ever in any case. Nobody says so, and
/// it never panics. An async task that waits blocks its executor's thread.
///
/// A goroutine that is unwinding does not switch (see [the crate's page on panics](crate#panics)):
/// a `Drop` that waits for a lock that a goroutine parked on the same worker has, or (if it wants
/// to write) has just been let in to, waits for ever. Use [`try_read`](RwLock::try_read) and
/// [`try_write`](RwLock::try_write) in such a `Drop`, or take no lock there. (To read it need not
/// wait for writers that wait themselves.)
///
/// # Poisoning
///
/// As std's, a lock is *poisoned* if the guard of a writer is dropped by a panic: `read` and
/// `write` return the guard in an error from then on, until [`clear_poison`](RwLock::clear_poison).
/// Readers do not poison.
// Aligned as a `Mutex` is.
#[repr(C, align(16))]
pub struct RwLock<T: ?Sized> {
    /// The flag of its `writers` says that the lock is poisoned.
    raw: RawRwLock,
    value: UnsafeCell<T>,
}

// SAFETY: the value goes along with the lock, which has no ties to a thread (nobody waits while it
// is moved: who waits borrows it).
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}

// SAFETY: readers on several threads have `&T` at once, for which it is `Sync`; and a writer can
// take the value along, for which it is `Send`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

// A value that a panic has left half changed is announced by the poisoning.
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

/// What [`RwLock::read`] returns: the value, to be looked at until this is dropped.
///
/// As std's it is not `Send`.
///
/// ```compile_fail,E0277
/// fn is_send<T: Send>(_: T) {}
/// let lock = go_runtime::sync::RwLock::new(0);
/// is_send(lock.read());
/// ```
#[must_use = "if unused the lock is unlocked at once"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'a, T: ?Sized + 'a> {
    /// No reference: when the guard is an argument and is dropped, others may write before the
    /// function returns. And as with `&T` a guard of a longer-lived `T` serves where a
    /// shorter-lived one is asked for.
    value: NonNull<T>,
    raw: &'a RawRwLock,
    /// Named in the compiler's message.
    not_send: PhantomData<std::sync::RwLockReadGuard<'static, ()>>,
}

// SAFETY: a shared guard gives `&T` and no more.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

/// What [`RwLock::write`] returns: the value, to be changed until this is dropped.
///
/// As std's it is not `Send`.
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
    /// The thread was unwinding when the lock was taken: the panic had nothing to do with it.
    panicking: bool,
    /// Named in the compiler's message.
    not_send: PhantomData<std::sync::RwLockWriteGuard<'static, ()>>,
}

// SAFETY: a shared guard gives `&T` and no more.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<T> RwLock<T> {
    /// A lock that nobody has.
    #[inline]
    #[must_use]
    pub const fn new(value: T) -> RwLock<T> {
        RwLock {
            raw: RawRwLock::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// The value.
    ///
    /// # Errors
    /// If the lock is poisoned; the error has the value.
    pub fn into_inner(self) -> LockResult<T> {
        let poisoned = self.is_poisoned();
        result(poisoned, self.value.into_inner())
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody writes, nor waits to, and lets the caller read until the guard is
    /// dropped. Others may read at the same time.
    ///
    /// # Errors
    /// If the lock is poisoned: somebody has panicked while writing. The lock is taken all the
    /// same, and the error has the guard.
    ///
    /// # Panics
    /// If there are too many readers (2^61, or 2^29 on a machine of 32 bits), which takes guards
    /// that are forgotten.
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

    /// Lets the caller read if nobody writes, nor waits to, without waiting.
    ///
    /// In a goroutine that asks in vain all the time, others run now and then, as with
    /// [`try_recv`](crate::channel::Receiver::try_recv) (see
    /// [the crate's page on limits](crate#limits)).
    ///
    /// # Errors
    /// `WouldBlock` if the lock is not to be had (or there are too many readers, see
    /// [`read`](RwLock::read)); `Poisoned`, with the guard, if the lock is poisoned.
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
            wait::polled_in_vain();
            Err(TryLockError::WouldBlock)
        }
    }

    /// Waits until nobody else has the lock, and takes it. It is given back when the guard is
    /// dropped.
    ///
    /// # Errors
    /// If the lock is poisoned: somebody has panicked while writing. The lock is taken all the
    /// same, and the error has the guard.
    ///
    /// ```
    /// let lock = go_runtime::sync::RwLock::new("a");
    /// *lock.write().unwrap() = "b";
    /// assert_eq!(*lock.read().unwrap(), "b");
    /// ```
    #[inline]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.raw.write();
        self.write_guard()
    }

    /// Takes the lock if nobody has it, without waiting.
    ///
    /// In a goroutine that asks in vain all the time, others run now and then, as with
    /// [`try_read`](RwLock::try_read).
    ///
    /// # Errors
    /// `WouldBlock` if the lock is not to be had; `Poisoned`, with the guard, if the lock is
    /// poisoned.
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
            wait::polled_in_vain();
            Err(TryLockError::WouldBlock)
        }
    }

    /// Whether somebody has panicked while writing. It may be a moment old.
    #[inline]
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        // Who has the lock sees what those before it have done; others cannot do anything with it.
        self.raw.writers.flag.load(Ordering::Relaxed)
    }

    /// The value is as it should be again: the lock is not poisoned any more.
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

    /// The value, without locking: nobody else has the lock.
    ///
    /// # Errors
    /// If the lock is poisoned; the error has the reference.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let poisoned = self.is_poisoned();
        result(poisoned, self.value.get_mut())
    }

    /// Called by who has just become a reader.
    #[inline]
    fn read_guard(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        let guard = RwLockReadGuard {
            // SAFETY: the address of a field is not null.
            value: unsafe { NonNull::new_unchecked(self.value.get()) },
            raw: &self.raw,
            not_send: PhantomData,
        };
        result(self.is_poisoned(), guard)
    }

    /// Called by who has just become the writer.
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
    /// Makes a reader of the writer, and lets others read too; nobody writes in between.
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
        // SAFETY: the guard had the lock, and is gone: the value is only read from now on.
        unsafe { lock.raw.downgrade() };
        lock.read_guard().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the one that made the guard became a reader, which ends here only, and the guard,
        // through which the value is read, is gone.
        unsafe { self.raw.done_reading() };
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // As in a `MutexGuard`.
        if !self.panicking && thread::panicking() {
            self.lock.raw.writers.flag.store(true, Ordering::Relaxed);
        }
        // SAFETY: the lock was taken when the guard was made, it is given back here only (or in
        // `downgrade`, which forgets the guard), and the guard, through which the value is used, is
        // gone.
        unsafe { self.lock.raw.done_writing() };
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock, which outlives the guard, has the value; and nobody writes it while
        // there is a reader.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held as long as the guard is there, and it gives `&mut` only to who
        // has `&mut` to it.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
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
        // Without letting others run, as `try_read` may: whoever prints may hold anything.
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

    /// Forgetting so many guards takes too long; the count is what it would be.
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
