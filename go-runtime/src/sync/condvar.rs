//! `std::sync::Condvar` for goroutines.
//!
//! `RawCondvar` owns the queue of waiters; this file adds std's interface, with guards, poisoning
//! and time limits.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, PoisonError};
use std::time::{Duration, Instant};

use super::mutex::MutexGuard;
use super::raw_condvar::RawCondvar;
use crate::clock;

/// A condition variable that parks goroutines: [`std::sync::Condvar`] for goroutines.
///
/// A caller waits for a notification that the value in a [`Mutex`](super::Mutex) has changed. The
/// names, the errors and the poisoning are std's, so a change of the import replaces std's
/// `Condvar` by this one. Goroutines and plain threads may use the same condvar at the same time; a
/// thread that waits is blocked.
///
/// ```
/// use std::sync::Arc;
/// use go_runtime::{go, sync::{Condvar, Mutex}};
///
/// let shared = Arc::new((Mutex::new(false), Condvar::new()));
/// go!(clone(shared) {
///     *shared.0.lock().unwrap() = true;
///     shared.1.notify_one();
/// });
/// let (is_ready, changed) = &*shared;
/// let guard = changed.wait_while(is_ready.lock().unwrap(), |ready| !*ready).unwrap();
/// assert!(*guard);
/// ```
///
/// # Order of notification
///
/// [`notify_one`](Condvar::notify_one) ends the wait of the waiter that has waited longest, as Go's
/// `sync.Cond` does. A waiter that has been notified counts as notified even if its time limit
/// passes before it runs. There are no spurious wake-ups; but another caller may have held the
/// mutex before the woken waiter has it, so the waiter must check its condition again all the same,
/// as [`wait_while`](Condvar::wait_while) does. A notification is not kept for later waiters.
///
/// One condvar may be used with several mutexes. An async task that waits blocks its executor's
/// thread, and a goroutine that waits while it is unwinding blocks its worker's thread (see
/// [the crate's page on panics](crate#panics)).
pub struct Condvar {
    raw: RawCondvar,
}

// Unwind-safe: no user code runs while the condvar changes.
impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

/// The outcome of a wait with a time limit: [`std::sync::WaitTimeoutResult`].
#[derive(Debug, PartialEq, Eq, Copy, Clone)]
pub struct WaitTimeoutResult {
    timed_out: bool,
}

impl WaitTimeoutResult {
    /// Returns whether the time limit passed before a notification came.
    ///
    /// For `wait_timeout_while`: whether the time limit passed while the condition still held.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.timed_out
    }
}

impl Condvar {
    /// Returns a condvar without waiters.
    #[must_use]
    #[inline]
    pub const fn new() -> Condvar {
        Condvar {
            raw: RawCondvar::new(),
        }
    }

    /// Unlocks the mutex, waits for a notification, and locks the mutex again.
    ///
    /// No notification is lost: the caller counts as a waiter before the mutex is unlocked.
    ///
    /// # Errors
    /// If the mutex is poisoned when it is locked again; the error contains the guard.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use go_runtime::{go, sync::{Condvar, Mutex}};
    ///
    /// let shared = Arc::new((Mutex::new(0), Condvar::new()));
    /// let mut guard = shared.0.lock().unwrap();
    /// go!(clone(shared) {
    ///     *shared.0.lock().unwrap() += 1;
    ///     shared.1.notify_all();
    /// });
    /// while *guard == 0 {
    ///     guard = shared.1.wait(guard).unwrap();
    /// }
    /// ```
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, None).0
    }

    /// Waits as long as `condition` holds, which is checked at first and after each notification.
    ///
    /// # Errors
    /// If the mutex is poisoned when it is locked again; the error contains the guard.
    pub fn wait_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Waits as [`wait`](Condvar::wait) does, but for a notification within `duration` at most.
    ///
    /// The result says whether the time limit passed. The call may take longer, because the mutex
    /// has to be locked again. A duration that reaches beyond what [`Instant`] can express is no
    /// limit.
    ///
    /// # Errors
    /// If the mutex is poisoned when it is locked again; the error contains the guard and the
    /// result.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::sync::{Condvar, Mutex};
    ///
    /// let (mutex, condvar) = (Mutex::new(()), Condvar::new());
    /// let guard = mutex.lock().unwrap();
    /// let (guard, result) = condvar.wait_timeout(guard, Duration::from_millis(1)).unwrap();
    /// assert!(result.timed_out());
    /// ```
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        duration: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        self.wait_until_or_notified(guard, clock::after(duration))
    }

    /// Waits as long as `condition` holds, but for `duration` at most, all waits taken together.
    ///
    /// If the condition no longer holds, the result is no timeout, however long the wait took. A
    /// duration that reaches beyond what [`Instant`] can express is no limit.
    ///
    /// # Errors
    /// If the mutex is poisoned when it is locked again; the error contains the guard and the
    /// result.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::sync::{Condvar, Mutex};
    ///
    /// let (mutex, condvar) = (Mutex::new(0), Condvar::new());
    /// let guard = mutex.lock().unwrap();
    /// let (guard, result) = condvar
    ///     .wait_timeout_while(guard, Duration::from_millis(1), |n| *n == 0)
    ///     .unwrap();
    /// assert!(result.timed_out());
    /// ```
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        duration: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let deadline = clock::after(duration);
        let mut is_over = false;
        loop {
            let holds = condition(&mut *guard);
            if !holds || is_over {
                return Ok((guard, WaitTimeoutResult { timed_out: holds }));
            }
            let waited = self.wait_until_or_notified(guard, deadline)?;
            guard = waited.0;
            is_over = waited.1.timed_out() || deadline.is_some_and(|end| clock::now() >= end);
        }
    }

    /// Ends the wait of the waiter that has waited longest, if there is one.
    ///
    /// The caller may, but need not, hold the mutex.
    #[inline]
    pub fn notify_one(&self) {
        self.raw.notify_one();
    }

    /// Ends the wait of all waiters.
    #[inline]
    pub fn notify_all(&self) {
        self.raw.notify_all();
    }

    fn wait_until_or_notified<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let (guard, result) = self.wait_until(guard, deadline);
        match guard {
            Ok(guard) => Ok((guard, result)),
            Err(poison) => Err(PoisonError::new((poison.into_inner(), result))),
        }
    }

    fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (LockResult<MutexGuard<'a, T>>, WaitTimeoutResult) {
        // SAFETY: the guard holds the lock, and this function owns the guard, so the value is not
        // used before `wait` has locked the mutex again. (`wait` does not panic in between, so the
        // guard is not dropped while the mutex is unlocked.)
        let notified = unsafe { self.raw.wait(guard.raw(), deadline) };
        let result = WaitTimeoutResult {
            timed_out: !notified,
        };
        (guard.again(), result)
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
