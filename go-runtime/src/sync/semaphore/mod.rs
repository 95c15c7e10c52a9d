//! A weighted semaphore, after `golang.org/x/sync/semaphore`, with tokio's names.

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
use crate::wait::polled_in_vain;

/// A number of permits, of which each who comes takes some, and waits if there are not enough: the
/// limit on how many do something at once. Go has it as `semaphore.Weighted` in
/// `golang.org/x/sync`.
///
/// First come, first served: while one waits for many permits, those behind it wait as well, though
/// there may be enough for them. So nobody waits for ever as long as permits come back. They come
/// back when the guard, a [`SemaphorePermit`], is dropped, also by a panic. Goroutines that wait
/// are parked, threads are blocked.
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

/// Why there is no permit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AcquireError {
    /// The semaphore is closed: nobody gets permits any more.
    Closed,
    /// There are not enough at the moment, or others wait for theirs.
    NoPermits,
    /// The time was over first.
    TimedOut,
    /// The done channel said so first.
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

// Nothing of a user's runs while it changes, and permits come back by themselves.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

impl Semaphore {
    /// The most permits that a semaphore can have.
    pub const MAX_PERMITS: usize = raw::MAX;

    const_fn! {
        /// A semaphore with so many free permits. With 0, all wait until some are
        /// [added](Semaphore::add_permits).
        ///
        /// # Panics
        /// If there are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
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

    /// Takes a permit, and waits for one if need be. Name it (`_permit`, say): `let _ = ...` gives
    /// it back at once.
    ///
    /// # Errors
    /// [`Closed`](AcquireError::Closed) if the semaphore is closed, before or meanwhile.
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

    /// Takes `n` permits at once, and waits until there are so many. Those who come later wait
    /// behind it.
    ///
    /// 0 permits are to be had at once. More than there will ever be are waited for, as in Go: for
    /// ever, unless permits are [added](Semaphore::add_permits).
    ///
    /// # Errors
    /// [`Closed`](AcquireError::Closed) if the semaphore is closed, before or meanwhile.
    pub fn acquire_many(&self, n: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.0.take(n, |granted| {
            granted.recv().map_err(|_| AcquireError::Closed)
        })?;
        Ok(SemaphorePermit::new(self, n))
    }

    /// Takes a permit if one is free and nobody waits, without waiting.
    ///
    /// In a goroutine that asks in vain all the time, others run now and then (see
    /// [the crate's page on limits](crate#limits)).
    ///
    /// # Errors
    /// [`NoPermits`](AcquireError::NoPermits), or [`Closed`](AcquireError::Closed).
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if so many are free and nobody waits, without waiting.
    ///
    /// # Errors
    /// As [`try_acquire`](Semaphore::try_acquire).
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
    /// [`TimedOut`](AcquireError::TimedOut), or [`Closed`](AcquireError::Closed).
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
    /// As [`acquire_timeout`](Semaphore::acquire_timeout).
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

    /// Takes `n` permits, and waits for them until `done` is closed, or has a message, which is not
    /// received. Go's `Acquire(ctx, n)`: pass [`ctx.done()`](crate::context::Context::done).
    ///
    /// If `done` is closed already it takes none, though there may be enough.
    ///
    /// # Errors
    /// [`Canceled`](AcquireError::Canceled) if `done` came first, or
    /// [`Closed`](AcquireError::Closed).
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
            polled_in_vain();
            return Err(AcquireError::Canceled);
        }
        self.0.take(n, |granted| wait_with(granted, done))?;
        Ok(SemaphorePermit::new(self, n))
    }

    /// [`acquire`](Semaphore::acquire) for a permit that keeps the semaphore alive, and so may go
    /// to another goroutine.
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
    /// [`Closed`](AcquireError::Closed) if the semaphore is closed, before or meanwhile.
    pub fn acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.acquire_many_owned(1)
    }

    /// [`acquire_many`](Semaphore::acquire_many) for a permit that keeps the semaphore alive.
    ///
    /// # Errors
    /// [`Closed`](AcquireError::Closed) if the semaphore is closed, before or meanwhile.
    pub fn acquire_many_owned(
        self: Arc<Self>,
        n: usize,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.acquire_many(n)?.forget();
        Ok(OwnedSemaphorePermit::new(self, n))
    }

    /// [`try_acquire`](Semaphore::try_acquire) for a permit that keeps the semaphore alive.
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
    /// As [`try_acquire`](Semaphore::try_acquire).
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// [`try_acquire_many`](Semaphore::try_acquire_many) for permits that keep the semaphore
    /// alive.
    ///
    /// # Errors
    /// As [`try_acquire`](Semaphore::try_acquire).
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        n: usize,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.0.try_take(n)?;
        Ok(OwnedSemaphorePermit::new(self, n))
    }

    /// Adds permits: there are more from now on. (Those that were taken come back by themselves;
    /// what Go calls `Release` is to drop a guard.)
    ///
    /// # Panics
    /// If there were more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS) then. None is added.
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        assert!(
            self.0.give(n, usize::checked_add),
            "Semaphore::add_permits({n}): there would be more than Semaphore::MAX_PERMITS"
        );
    }

    /// How many permits are free. It may be a moment old.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.0.free()
    }

    /// Closes the semaphore: those who wait, and all who come later, get
    /// [`Closed`](AcquireError::Closed). Permits that have been taken stay good. A second time it
    /// does nothing.
    pub fn close(&self) {
        self.0.close();
    }

    /// Whether it has been closed.
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
        // Only the caller receives from it.
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
