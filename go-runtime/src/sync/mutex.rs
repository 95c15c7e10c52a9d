//! `std::sync::Mutex` for goroutines.

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

/// Lets one at a time use a value: [`std::sync::Mutex`], but a goroutine that waits for it is
/// parked, and its worker runs others.
///
/// The names, the errors and the poisoning are std's, so it takes the place of std's by a change of
/// the import. Goroutines and plain threads may use it at the same time; a thread that waits is
/// blocked. Unlike std's, its guard may be held over whatever blocks a goroutine: a channel, a
/// `sleep`, another `Mutex`.
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
/// # Who gets it
///
/// The rules are those of Go's `sync.Mutex`. Whoever comes along may take a free lock before the
/// one who has been woken for it, which is fast; who has waited for more than a millisecond when it
/// runs again, and finds the lock taken, is handed it, so that nobody waits for ever. To that end
/// `lock` may let other goroutines run even if the lock is free, while others wait for it.
///
/// Unlike Go's, a goroutine is not preempted, and stays on its worker. One that is handed the lock
/// while another goroutine holds that worker (computes for long, say) keeps it from all others
/// until it runs.
///
/// # Deadlocks
///
/// A goroutine or thread that locks what it has locked already waits for ever. Nobody says so, and
/// it never panics. An async task that waits blocks its executor's thread.
///
/// A goroutine that is unwinding does not switch (see [the crate's page on panics](crate#panics)),
/// so it takes the lock as soon as it is free: a `Drop` that waits for a lock whose holder is
/// parked on the same worker waits for ever. Use [`try_lock`](Mutex::try_lock) in such a `Drop`, or
/// take no lock there.
///
/// # Poisoning
///
/// As std's, a mutex whose guard is dropped by a panic is *poisoned*: `lock` returns the guard in
/// an error from then on, until [`clear_poison`](Mutex::clear_poison).
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
// Aligned so that a small value lies in one cache line with the lock. It is no more than what
// memory allocators align to.
#[repr(C, align(16))]
pub struct Mutex<T: ?Sized> {
    /// Its flag says that the mutex is poisoned.
    raw: RawMutex,
    value: UnsafeCell<T>,
}

// SAFETY: the value goes along with the mutex, which has no ties to a thread (nobody waits while it
// is moved: who waits borrows it).
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}

// SAFETY: one at a time gets at the value, which is as good as sending it to and fro.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

// A value that a panic has left half changed is announced by the poisoning.
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

/// What [`Mutex::lock`] returns: the value, until it is dropped.
///
/// As std's it is not `Send`. (The lock would not mind: it has no owner, so a guard that a
/// thread-local or `go!(local; ...)` brings to another goroutine of the same worker unlocks it from
/// there.)
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
    /// The thread was unwinding when the lock was taken: the panic had nothing to do with it.
    panicking: bool,
    /// Named in the compiler's message.
    not_send: PhantomData<std::sync::MutexGuard<'static, ()>>,
}

// SAFETY: a shared guard gives `&T` and no more.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T> Mutex<T> {
    /// A mutex that nobody has locked.
    #[inline]
    #[must_use]
    pub const fn new(value: T) -> Mutex<T> {
        Mutex {
            raw: RawMutex::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// The value.
    ///
    /// # Errors
    /// If the mutex is poisoned; the error has the value.
    pub fn into_inner(self) -> LockResult<T> {
        let poisoned = self.is_poisoned();
        result(poisoned, self.value.into_inner())
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until nobody else has the lock, and takes it. It is given back when the guard is
    /// dropped.
    ///
    /// # Errors
    /// If the mutex is poisoned: somebody has panicked while it had the lock. The lock is taken all
    /// the same, and the error has the guard.
    ///
    /// ```
    /// let mutex = go_runtime::sync::Mutex::new("a");
    /// *mutex.lock().unwrap() = "b";
    /// assert_eq!(*mutex.lock().unwrap(), "b");
    /// ```
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.raw.lock();
        self.guard()
    }

    /// Takes the lock if nobody has it, and it is not kept for one who starves, without waiting.
    ///
    /// In a goroutine that asks in vain all the time, others run now and then, as with
    /// [`try_recv`](crate::channel::Receiver::try_recv) (see
    /// [the crate's page on limits](crate#limits)).
    ///
    /// # Errors
    /// `WouldBlock` if the lock is not to be had; `Poisoned`, with the guard, if the mutex is
    /// poisoned.
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
            wait::polled_in_vain();
            Err(TryLockError::WouldBlock)
        }
    }

    /// Whether somebody has panicked while it had the lock. It may be a moment old.
    #[inline]
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        // Who has the lock sees what those before it have done; others cannot do anything with it.
        self.raw.flag.load(Ordering::Relaxed)
    }

    /// The value is as it should be again: the mutex is not poisoned any more.
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

    /// The value, without locking: nobody else has the mutex.
    ///
    /// # Errors
    /// If the mutex is poisoned; the error has the reference.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let poisoned = self.is_poisoned();
        result(poisoned, self.value.get_mut())
    }

    /// Called by who has just got the lock.
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

/// For a [`Condvar`](super::Condvar), which unlocks and locks again under the guard.
impl<'a, T: ?Sized> MutexGuard<'a, T> {
    pub(super) fn raw(&self) -> &'a RawMutex {
        &self.mutex.raw
    }

    /// What `lock` would say of it.
    pub(super) fn again(self) -> LockResult<MutexGuard<'a, T>> {
        result(self.mutex.is_poisoned(), self)
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // std's rule, though `panicking` speaks of the thread: a goroutine that unwinds lets no
        // other run on its thread before it is done (see `wait::parker`), so what the thread says
        // here is true of this goroutine, as it was of the one that made the guard.
        if !self.panicking && thread::panicking() {
            self.mutex.raw.flag.store(true, Ordering::Relaxed);
        }
        // SAFETY: the lock was taken when the guard was made, it is given back here only, and the
        // guard, through which the value is used, is gone.
        unsafe { self.mutex.raw.unlock() };
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held as long as the guard is there, and it gives `&mut` only to who
        // has `&mut` to it.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
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
        // Without letting others run, as `try_lock` may: whoever prints may hold anything.
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
