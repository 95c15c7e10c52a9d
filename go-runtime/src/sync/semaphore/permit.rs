//! The guards of a semaphore's permits, which give the permits back when dropped.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Semaphore;

/// A guard of permits of a [`Semaphore`], which gives the permits back when it is dropped, on any
/// thread.
#[must_use = "if unused the permits are given back at once"]
#[clippy::has_significant_drop]
pub struct SemaphorePermit<'a>(Permit<&'a Semaphore>);

/// A guard of permits that keeps the semaphore alive: see [`Semaphore::acquire_owned`].
#[must_use = "if unused the permits are given back at once"]
#[clippy::has_significant_drop]
pub struct OwnedSemaphorePermit(Permit<Arc<Semaphore>>);

struct Permit<S: Deref<Target = Semaphore>> {
    semaphore: S,
    permits: usize,
}

impl<S: Deref<Target = Semaphore>> Drop for Permit<S> {
    fn drop(&mut self) {
        if self.permits > 0 {
            self.semaphore.0.give_back(self.permits);
        }
    }
}

macro_rules! methods {
    () => {
        /// Returns the number of permits that this guard holds.
        #[must_use]
        pub fn num_permits(&self) -> usize {
            self.0.permits
        }

        /// Drops the guard without giving its permits back.
        ///
        /// From then on the semaphore has that many permits fewer.
        pub fn forget(mut self) {
            self.0.permits = 0;
        }
    };
}

impl<'a> SemaphorePermit<'a> {
    pub(super) fn new(semaphore: &'a Semaphore, permits: usize) -> Self {
        SemaphorePermit(Permit { semaphore, permits })
    }

    methods!();

    /// Moves `n` of the permits into a guard of their own.
    ///
    /// Returns `None`, and changes nothing, if this guard holds fewer than `n`.
    ///
    /// ```
    /// let five = go_runtime::sync::Semaphore::new(5);
    /// let mut all = five.acquire_many(5).unwrap();
    /// drop(all.split(2));
    /// assert_eq!((all.num_permits(), five.available_permits()), (3, 2));
    /// ```
    pub fn split(&mut self, n: usize) -> Option<SemaphorePermit<'a>> {
        self.0.permits = self.0.permits.checked_sub(n)?;
        Some(SemaphorePermit::new(self.0.semaphore, n))
    }
}

impl OwnedSemaphorePermit {
    pub(super) fn new(semaphore: Arc<Semaphore>, permits: usize) -> Self {
        OwnedSemaphorePermit(Permit { semaphore, permits })
    }

    methods!();

    /// Moves `n` of the permits into a guard of their own.
    ///
    /// Returns `None`, and changes nothing, if this guard holds fewer than `n`.
    pub fn split(&mut self, n: usize) -> Option<OwnedSemaphorePermit> {
        self.0.permits = self.0.permits.checked_sub(n)?;
        Some(OwnedSemaphorePermit::new(Arc::clone(&self.0.semaphore), n))
    }
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SemaphorePermit")
            .field(&self.0.permits)
            .finish()
    }
}

impl fmt::Debug for OwnedSemaphorePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedSemaphorePermit")
            .field(&self.0.permits)
            .finish()
    }
}
