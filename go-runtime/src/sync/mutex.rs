//! `std::sync::Mutex` for goroutines.
//!
//! This module owns the guarded value, the guard, and the poisoning. [`RawMutex`] is the lock
//! itself. The value is used through a [`MutexGuard`] only, or through `&mut Mutex`.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};
use std::thread;

use super::raw_mutex::RawMutex;
use crate::primitives::atomic::Ordering;
use crate::wait;

/// A mutual-exclusion lock that parks goroutines: [`std::sync::Mutex`] for goroutines.
///
/// While a goroutine waits for the lock, its worker runs other goroutines. The names, the errors
/// and the poisoning are std's, so a change of the import replaces std's `Mutex` by this one.
/// Goroutines and plain threads may use the same mutex at the same time; a thread that waits is
/// blocked. Unlike std's guard, this one may be held across an operation that blocks the goroutine:
/// on a channel, a `sleep`, or another `Mutex`.
///
/// ```
/// use go_runtime::{scope, sync::Mutex};
///
/// let total = Mutex::new(0);
/// scope(|s| {
///     for n in 1..=10 {
///         let total = &total;
///         s.spawn(move || *total.lock().unwrap() += n);
///     }
/// });
/// assert_eq!(total.into_inner().unwrap(), 55);
/// ```
///
/// As a static:
///
/// ```
/// use go_runtime::sync::Mutex;
///
/// static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// NAMES.lock().unwrap().push("gopher".into());
/// assert_eq!(NAMES.lock().unwrap().len(), 1);
/// ```
///
/// # Fairness
///
/// The rules are those of Go's `sync.Mutex`. A newcomer may take a free lock before the woken
/// waiter, which is fast. A waiter that finds the lock taken when it runs again, after more than a
/// millisecond, is handed the lock at the next unlock, so that no waiter starves. To that end
/// `lock` may let other goroutines run even if the lock is free, while there are waiters.
///
/// Unlike Go's goroutines, those of this crate are not preempted, and stay on their worker. A
/// goroutine that is handed the lock while another goroutine occupies its worker (with a long
/// computation, say) keeps the lock from all others until it runs.
///
/// # Deadlocks
///
/// A goroutine or thread that locks a mutex that it has locked already waits forever: there is no
/// panic, and no report. An async task that waits blocks its executor's thread.
///
/// A goroutine that is unwinding does not switch (see [the crate's page on panics](crate#panics)).
/// It blocks its thread and takes the lock as soon as the lock is free, so a `Drop` that waits for
/// a lock whose holder is parked on the same worker waits forever. Use
/// [`try_lock`](Mutex::try_lock) in such a `Drop`, or take no lock there.
///
/// # Poisoning
///
/// Like std's, a mutex whose guard is dropped by a panic is *poisoned*: from then on `lock` returns
/// the guard in an error, until [`clear_poison`](Mutex::clear_poison) is called.
///
/// ```
/// use std::sync::Arc;
/// use go_runtime::{go, sync::Mutex};
///
/// let shared = Arc::new(Mutex::new(1));
/// let child = go!(clone(shared) {
///     let mut guard = shared.lock().unwrap();
///     *guard = 2;
///     panic!("with the guard");
/// });
/// assert!(child.join().is_err());
/// assert!(shared.is_poisoned());
/// let value = *shared.lock().unwrap_or_else(|poison| poison.into_inner());
/// assert_eq!(value, 2);
/// ```
// The alignment keeps a small value in one cache line with the lock. Memory allocators align to 16
// bytes anyway.
#[repr(C, align(16))]
pub struct Mutex<T: ?Sized> {
    /// The lock, whose `flag` says that the mutex is poisoned.
    raw: RawMutex,
    value: UnsafeCell<T>,
}

// SAFETY: sending the mutex sends the value, which is `Send`. `RawMutex` has no ties to a thread,
// and no waiter is queued while the mutex is moved, because each waiter borrows the mutex.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}

// SAFETY: the lock lets one thread at a time use the value, so sharing the mutex amounts to sending
// the value from one holder to the next, and `T` is `Send`.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

// Poisoning reports a value that a panic has left half changed.
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

/// A guard that gives access to the value of a [`Mutex`], and unlocks the mutex when dropped.
///
/// Like std's guard it is not `Send`. (The lock has no owner: a guard that a thread-local or
/// `go!(local; ...)` brings to another goroutine of the same worker unlocks the mutex from there.)
///
/// ```compile_fail,E0277
/// fn is_send<T: Send>(_: T) {}
/// let mutex = go_runtime::sync::Mutex::new(0);
/// is_send(mutex.lock());
/// ```
#[must_use = "if unused the mutex is unlocked at once"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'a, T: ?Sized + 'a> {
    mutex: &'a Mutex<T>,
    /// Whether the thread was already unwinding when the lock was taken. A panic from before that
    /// moment is no reason to poison the mutex.
    panicking: bool,
    /// Makes the guard not `Send`; the compiler's message names std's guard.
    not_send: PhantomData<std::sync::MutexGuard<'static, ()>>,
}

// SAFETY: a shared reference to the guard gives access to `&T` only, and `T` is `Sync`.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T> Mutex<T> {
    /// Returns an unlocked mutex with `value`.
    #[inline]
    #[must_use]
    pub const fn new(value: T) -> Mutex<T> {
        Mutex {
            raw: RawMutex::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Consumes the mutex and returns the value.
    ///
    /// # Errors
    /// If the mutex is poisoned; the error contains the value.
    pub fn into_inner(self) -> LockResult<T> {
        let poisoned = self.is_poisoned();
        result(poisoned, self.value.into_inner())
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock, and waits while another goroutine or thread has it.
    ///
    /// The lock is given back when the guard is dropped. A caller that has the lock already waits
    /// for itself, and for ever, unless it has passed the guard on to another goroutine of its
    /// worker; the runtime says so on standard error.
    ///
    /// # Errors
    /// If the mutex is poisoned, because an earlier holder has panicked with the lock. The lock is
    /// taken all the same, and the error contains the guard.
    ///
    /// ```
    /// let mutex = go_runtime::sync::Mutex::new("a");
    /// *mutex.lock().unwrap() = "b";
    /// assert_eq!(*mutex.lock().unwrap(), "b");
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.raw.lock();
        self.guard()
    }

    /// Takes the lock without waiting, if it is free and not reserved for a starving waiter.
    ///
    /// A goroutine that calls this in a loop without success lets other goroutines run now and
    /// then, as with [`try_recv`](crate::channel::Receiver::try_recv) (see
    /// [the crate's page on limits](crate#limits)).
    ///
    /// # Errors
    /// `WouldBlock` if the lock is not available; `Poisoned`, which contains the guard, if the
    /// mutex is poisoned.
    ///
    /// ```
    /// use std::sync::TryLockError;
    ///
    /// let mutex = go_runtime::sync::Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    /// drop(guard);
    /// assert!(mutex.try_lock().is_ok());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if self.raw.try_lock() {
            Ok(self.guard()?)
        } else {
            wait::note_failed_poll();
            Err(TryLockError::WouldBlock)
        }
    }

    /// Returns whether the mutex is poisoned. The answer may be out of date when it is used.
    #[inline]
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        // A holder of the lock sees what earlier holders stored, by the lock's ordering. Other
        // callers do not use the value, so for them the load needs no ordering.
        self.raw.flag.load(Ordering::Relaxed)
    }

    /// Clears the poisoned state, once the caller has put the value right.
    ///
    /// ```
    /// use std::panic::catch_unwind;
    ///
    /// let mutex = go_runtime::sync::Mutex::new(0);
    /// let _ = catch_unwind(|| {
    ///     let guard = mutex.lock().unwrap();
    ///     panic!("with the guard");
    /// });
    /// *mutex.lock().unwrap_err().into_inner() = 1;
    /// mutex.clear_poison();
    /// assert_eq!(*mutex.lock().unwrap(), 1);
    /// ```
    #[inline]
    pub fn clear_poison(&self) {
        self.raw.flag.store(false, Ordering::Relaxed);
    }

    /// Returns the value without locking, as the exclusive borrow excludes all other users.
    ///
    /// # Errors
    /// If the mutex is poisoned; the error contains the reference.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let poisoned = self.is_poisoned();
        result(poisoned, self.value.get_mut())
    }

    /// Returns the guard of a caller that has just taken the lock.
    #[inline]
    fn guard(&self) -> LockResult<MutexGuard<'_, T>> {
        let guard = MutexGuard {
            mutex: self,
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

/// Methods for a [`Condvar`](super::Condvar), which unlocks and relocks the mutex while its guard
/// lives on.
impl<'a, T: ?Sized> MutexGuard<'a, T> {
    pub(super) fn raw(&self) -> &'a RawMutex {
        &self.mutex.raw
    }

    /// Returns this guard as `lock` would return it: in an error if the mutex is poisoned.
    pub(super) fn again(self) -> LockResult<MutexGuard<'a, T>> {
        result(self.mutex.is_poisoned(), self)
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // This is std's rule. `thread::panicking` reports the state of the thread. But no other
        // goroutine runs on the thread while one of them unwinds (see `wait::parker`), so here this
        // is the state of the calling goroutine. It was the state of the goroutine that made the
        // guard in the same way.
        if !self.panicking && thread::panicking() {
            self.mutex.raw.flag.store(true, Ordering::Relaxed);
        }
        // SAFETY: the lock was taken before the guard was made and is given back here only, so the
        // caller holds it. The value is used through the guard only, which is being dropped.
        unsafe { self.mutex.raw.unlock() };
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock as long as it lives, so there is no other access to the
        // value; and the guard gives out `&mut T` only while it is itself borrowed mutably, so none
        // exists during this shared borrow of the guard.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock as long as it lives, so there is no other access to the
        // value; and the guard is borrowed mutably for as long as the reference lives.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Mutex<T> {
        Mutex::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Mutex");
        // The raw lock's `try_lock` does not let other goroutines run, as `Mutex::try_lock` may:
        // the caller may hold anything while it prints.
        if self.raw.try_lock() {
            let guard = self.guard().unwrap_or_else(PoisonError::into_inner);
            text.field("data", &&*guard);
        } else {
            text.field("data", &format_args!("<locked>"));
        }
        text.field("poisoned", &self.is_poisoned());
        text.finish_non_exhaustive()
    }
}
