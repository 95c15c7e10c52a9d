//! `std::sync::Condvar` for goroutines.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, PoisonError};
use std::time::{Duration, Instant};

use super::mutex::MutexGuard;
use super::raw_condvar::RawCondvar;
use crate::clock;

/// Waits until somebody says that what a [`Mutex`](super::Mutex) guards has changed:
/// [`std::sync::Condvar`], but a goroutine that waits is parked.
///
/// The names, the errors and the poisoning are std's, so it takes the place of std's by a change of
/// the import. Goroutines and plain threads may use it at the same time; a thread that waits is
/// blocked.
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
/// # Who is notified
///
/// [`notify_one`](Condvar::notify_one) ends the wait of the one that has waited longest, as Go's
/// `sync.Cond` does; one that has been notified counts as such even if its time is over before it
/// runs. Nobody is woken for no reason; but others may have had the mutex before the woken one has
/// it, so the condition has to be looked at again all the same, as
/// [`wait_while`](Condvar::wait_while) does. Notifications are not kept for those who come later.
///
/// One condvar may be used with several mutexes. An async task that waits blocks its executor's
/// thread, and so does a goroutine that is unwinding its worker's (see
/// [the crate's page on panics](crate#panics)).
pub struct Condvar {
    raw: RawCondvar,
}

// No user's code runs in here.
impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

/// How a wait with a time limit has ended: [`std::sync::WaitTimeoutResult`].
#[derive(Debug, PartialEq, Eq, Copy, Clone)]
pub struct WaitTimeoutResult {
    timed_out: bool,
}

impl WaitTimeoutResult {
    /// Whether the time was over before there was a notification (of `wait_timeout_while`: before
    /// the condition was seen not to hold any more).
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.timed_out
    }
}

impl Condvar {
    /// A condvar for which nobody waits.
    #[must_use]
    #[inline]
    pub const fn new() -> Condvar {
        Condvar {
            raw: RawCondvar::new(),
        }
    }

    /// Unlocks the mutex, waits for a notification, and locks the mutex again. Whoever changes the
    /// value once it is unlocked, and notifies, ends the wait.
    ///
    /// # Errors
    /// If the mutex is poisoned when it is locked again; the error has the guard.
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

    /// Waits as long as `condition` holds: looks, and looks again after each notification.
    ///
    /// # Errors
    /// If the mutex is poisoned when it is locked again; the error has the guard.
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

    /// [`wait`](Condvar::wait) for `duration` at most; the result says whether the time was over.
    /// It may take longer, as the mutex has to be locked again.
    ///
    /// A duration that reaches beyond what [`Instant`] can express means for ever.
    ///
    /// # Errors
    /// If the mutex is poisoned when it is locked again; the error has both.
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

    /// Waits as long as `condition` holds, but for `duration` at most, all waits taken together. If
    /// the condition does not hold, the time is not over, however long it took.
    ///
    /// A duration that reaches beyond what [`Instant`] can express means for ever.
    ///
    /// # Errors
    /// If the mutex is poisoned when it is locked again; the error has both.
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
        loop {
            let holds = condition(&mut *guard);
            if !holds || deadline.is_some_and(|end| clock::now() >= end) {
                return Ok((guard, WaitTimeoutResult { timed_out: holds }));
            }
            guard = self.wait_until_or_notified(guard, deadline)?.0;
        }
    }

    /// Ends the wait of the one that has waited longest, if anybody waits. The caller may have the
    /// mutex locked, or not.
    #[inline]
    pub fn notify_one(&self) {
        self.raw.notify_one();
    }

    /// Ends the wait of all who wait.
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
        // SAFETY: the guard has the lock, and is not used before it has it again. (Nothing in
        // between panics.)
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
