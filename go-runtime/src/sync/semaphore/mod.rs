//! A weighted semaphore, after `golang.org/x/sync/semaphore`, with tokio's names.
//!
//! `raw.rs` has the count and the queue, `permit.rs` the guards; this file is the public interface.

mod permit;
mod raw;

use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::permit::{OwnedSemaphorePermit, SemaphorePermit};
use self::raw::RawSemaphore;
use crate::channel::{Receiver, RecvTimeoutError, Select};
use crate::clock;
use crate::primitives::const_fn;
use crate::wait::Observable;
use crate::wait::note_failed_poll;

/// A number of permits that limits how many goroutines do something at the same time.
///
/// Each caller takes some permits, and waits if not enough are free. Go has this type as
/// `semaphore.Weighted` in `golang.org/x/sync`.
///
/// Callers are served in the order in which they come: while a caller waits for many permits, the
/// callers behind it wait as well, even if enough permits for them are free. So no caller starves
/// as long as permits come back. Permits come back when the guard, a [`SemaphorePermit`], is
/// dropped, also by a panic. A goroutine that waits is parked; a thread that waits is blocked.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use go_runtime::{scope, sync::Semaphore, yield_now};
///
/// let three = Semaphore::new(3);
/// let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
/// scope(|s| {
///     for _ in 0..100 {
///         s.spawn(|| {
///             let _permit = three.acquire().unwrap();
///             most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
///             yield_now();
///             now.fetch_sub(1, Ordering::SeqCst);
///         });
///     }
/// });
/// assert!(most.into_inner() <= 3);
/// ```
pub struct Semaphore(RawSemaphore);

/// The reason why a caller got no permits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AcquireError {
    /// The semaphore is closed: it grants no more permits.
    Closed,
    /// Not enough permits are free at the moment, or other callers wait for theirs.
    NoPermits,
    /// The timeout or deadline passed before the permits were granted.
    TimedOut,
    /// The done channel was closed or had a message before the permits were granted.
    Canceled,
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AcquireError::Closed => "the semaphore is closed",
            AcquireError::NoPermits => "the semaphore has not enough permits at the moment",
            AcquireError::TimedOut => "the semaphore has not had enough permits in time",
            AcquireError::Canceled => "the wait for a semaphore's permits was canceled",
        })
    }
}

impl Error for AcquireError {}

// Unwind-safe: no user code runs while the semaphore changes, and a panic gives permits back by
// dropping their guards.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

impl Semaphore {
    /// Maximum number of permits that a semaphore can have.
    pub const MAX_PERMITS: usize = raw::MAX;

    const_fn! {
        /// Returns a semaphore with `permits` free permits.
        ///
        /// If that is 0, all callers wait until permits are [added](Semaphore::add_permits).
        ///
        /// # Panics
        /// If `permits` exceeds [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
        #[track_caller]
        #[must_use]
        pub fn new(permits: usize) -> Semaphore {
            assert!(
                permits <= Semaphore::MAX_PERMITS,
                "Semaphore::new: more permits than Semaphore::MAX_PERMITS"
            );
            Semaphore(RawSemaphore::new(permits))
        }
    }

    /// Takes a permit, and waits for one if need be.
    ///
    /// Bind the guard to a name (`_permit`, say): `let _ = ...` gives the permit back at once.
    ///
    /// # Errors
    /// [`Closed`](AcquireError::Closed) if the semaphore is closed, before the call or during it.
    ///
    /// ```
    /// let one = go_runtime::sync::Semaphore::new(1);
    /// let permit = one.acquire().unwrap();
    /// assert!(one.try_acquire().is_err());
    /// drop(permit);
    /// assert!(one.try_acquire().is_ok());
    /// ```
    pub fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.acquire_many(1)
    }

    /// Takes `n` permits at once, and waits until that many are free if need be.
    ///
    /// Later callers wait behind this one. A call with `n` of 0 never waits. As in Go, a call for
    /// more permits than the semaphore has waits forever, unless permits are
    /// [added](Semaphore::add_permits).
    ///
    /// # Errors
    /// [`Closed`](AcquireError::Closed) if the semaphore is closed, before the call or during it.
    pub fn acquire_many(&self, n: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.0.take(n, |granted| {
            granted.recv().map_err(|_| AcquireError::Closed)
        })?;
        Ok(SemaphorePermit::new(self, n))
    }

    /// Takes a permit without waiting, if one is free and no other caller waits.
    ///
    /// A goroutine that calls this in a loop without success lets other goroutines run now and then
    /// (see [the crate's page on limits](crate#limits)).
    ///
    /// # Errors
    /// [`NoPermits`](AcquireError::NoPermits) if no permit is free or another caller waits;
    /// [`Closed`](AcquireError::Closed) if the semaphore is closed.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits without waiting, if that many are free and no other caller waits.
    ///
    /// # Errors
    /// The errors of [`try_acquire`](Semaphore::try_acquire).
    ///
    /// ```
    /// use go_runtime::sync::{AcquireError, Semaphore};
    ///
    /// let five = Semaphore::new(5);
    /// let three = five.try_acquire_many(3).unwrap();
    /// assert_eq!(five.try_acquire_many(3).unwrap_err(), AcquireError::NoPermits);
    /// assert_eq!((three.num_permits(), five.available_permits()), (3, 2));
    /// ```
    pub fn try_acquire_many(&self, n: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.0.try_take(n)?;
        Ok(SemaphorePermit::new(self, n))
    }

    /// Takes `n` permits, and waits for them for at most `timeout`.
    ///
    /// # Errors
    /// [`TimedOut`](AcquireError::TimedOut) if the timeout passes first;
    /// [`Closed`](AcquireError::Closed) if the semaphore is closed, before the call or during it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::sync::{AcquireError, Semaphore};
    ///
    /// let none = Semaphore::new(0);
    /// let error = none.acquire_timeout(1, Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error, AcquireError::TimedOut);
    /// ```
    pub fn acquire_timeout(
        &self,
        n: usize,
        timeout: Duration,
    ) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.acquire_until(n, clock::after(timeout))
    }

    /// Takes `n` permits, and waits for them until `deadline` at the latest.
    ///
    /// # Errors
    /// The errors of [`acquire_timeout`](Semaphore::acquire_timeout).
    pub fn acquire_deadline(
        &self,
        n: usize,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.acquire_until(n, Some(deadline))
    }

    fn acquire_until(
        &self,
        n: usize,
        deadline: Option<Instant>,
    ) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.0.take(n, |granted| {
            let received = match deadline {
                Some(deadline) => granted.recv_deadline(deadline),
                None => granted.recv().map_err(RecvTimeoutError::from),
            };
            received.map_err(|error| match error {
                RecvTimeoutError::Timeout => AcquireError::TimedOut,
                RecvTimeoutError::Disconnected => AcquireError::Closed,
            })
        })?;
        Ok(SemaphorePermit::new(self, n))
    }

    /// Takes `n` permits, and waits for them until `done` is closed or has a message.
    ///
    /// That message is not received. This is Go's `Acquire(ctx, n)`: pass
    /// [`ctx.done()`](crate::context::Context::done). If `done` is closed or has a message already,
    /// the call takes no permits, even if enough are free.
    ///
    /// # Errors
    /// [`Canceled`](AcquireError::Canceled) if `done` is closed or has a message first;
    /// [`Closed`](AcquireError::Closed) if the semaphore is closed, before the call or during it.
    ///
    /// ```
    /// use go_runtime::{channel::bounded, go, sync::{AcquireError, Semaphore}};
    ///
    /// let (stop, done) = bounded::<()>(0);
    /// let waiting = go! {
    ///     let none = Semaphore::new(0);
    ///     none.acquire_with(1, &done).map(drop)
    /// };
    /// drop(stop);
    /// assert_eq!(waiting.join().unwrap(), Err(AcquireError::Canceled));
    /// ```
    pub fn acquire_with<D>(
        &self,
        n: usize,
        done: &Receiver<D>,
    ) -> Result<SemaphorePermit<'_>, AcquireError> {
        if done.is_ready() {
            note_failed_poll();
            return Err(AcquireError::Canceled);
        }
        self.0.take(n, |granted| wait_with(granted, done))?;
        Ok(SemaphorePermit::new(self, n))
    }

    /// Takes a permit as [`acquire`](Semaphore::acquire) does, with a guard that may be sent away.
    ///
    /// The guard keeps the semaphore alive, and so may go to another goroutine.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use go_runtime::{go, sync::Semaphore};
    ///
    /// let two = Arc::new(Semaphore::new(2));
    /// for _ in 0..10 {
    ///     let permit = Arc::clone(&two).acquire_owned().unwrap(); // here, not there
    ///     go! {
    ///         // work
    ///         drop(permit);
    ///     };
    /// }
    /// let _all = two.acquire_many(2).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Closed`](AcquireError::Closed) if the semaphore is closed, before the call or during it.
    pub fn acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.acquire_many_owned(1)
    }

    /// Takes `n` permits as [`acquire_many`](Semaphore::acquire_many) does, with an owned guard.
    ///
    /// The guard keeps the semaphore alive.
    ///
    /// # Errors
    /// [`Closed`](AcquireError::Closed) if the semaphore is closed, before the call or during it.
    pub fn acquire_many_owned(
        self: Arc<Self>,
        n: usize,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.acquire_many(n)?.forget();
        Ok(OwnedSemaphorePermit::new(self, n))
    }

    /// Takes a permit as [`try_acquire`](Semaphore::try_acquire) does, with an owned guard.
    ///
    /// The guard keeps the semaphore alive.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use go_runtime::sync::Semaphore;
    ///
    /// let one = Arc::new(Semaphore::new(1));
    /// let permit = Arc::clone(&one).try_acquire_owned().unwrap();
    /// assert!(Arc::clone(&one).try_acquire_owned().is_err());
    /// ```
    ///
    /// # Errors
    /// The errors of [`try_acquire`](Semaphore::try_acquire).
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// Takes `n` permits as [`try_acquire_many`](Semaphore::try_acquire_many) does, with an owned
    /// guard.
    ///
    /// The guard keeps the semaphore alive.
    ///
    /// # Errors
    /// The errors of [`try_acquire`](Semaphore::try_acquire).
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        n: usize,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.0.try_take(n)?;
        Ok(OwnedSemaphorePermit::new(self, n))
    }

    /// Adds `n` new permits to the semaphore.
    ///
    /// (Permits that were taken come back when their guard is dropped, which corresponds to Go's
    /// `Release`.)
    ///
    /// # Panics
    /// If the number of free permits would exceed [`MAX_PERMITS`](Semaphore::MAX_PERMITS); then no
    /// permit is added.
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        assert!(
            self.0.give(n, usize::checked_add),
            "Semaphore::add_permits({n}): there would be more than Semaphore::MAX_PERMITS"
        );
    }

    /// Returns the number of free permits. The number may be out of date when it is used.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.0.free()
    }

    /// Closes the semaphore: it grants no more permits.
    ///
    /// All waiters and all later callers get [`Closed`](AcquireError::Closed). Permits that have
    /// been taken remain valid. A second call does nothing.
    pub fn close(&self) {
        self.0.close();
    }

    /// Returns whether the semaphore is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

fn wait_with<D>(granted: &Receiver<()>, done: &Receiver<D>) -> Result<(), AcquireError> {
    let mut select = Select::new_biased();
    select.recv(done);
    let by_grant = select.recv(granted);
    if select.ready() == by_grant {
        // Only the caller receives from `granted`, so its message is still there.
        granted.recv().map_err(|_| AcquireError::Closed)
    } else {
        Err(AcquireError::Canceled)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
