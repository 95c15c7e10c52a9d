//! [`Taken`]: one waiter that was taken out of its queue, and the right to end its wait.

use std::ops::Deref;
use std::ptr::NonNull;

use super::parker::Parker;
use super::verdict::Verdict;
use super::waiter::Waiter;

/// A claimed waiter that is in no queue.
///
/// The blocked operation stays blocked, so the waiter stays valid, until its wait is ended. Only
/// this value can end the wait, by a method that consumes it. A `Taken` that is dropped leaves the
/// operation blocked for ever.
#[must_use = "the waiter stays blocked until its wait is ended"]
pub(crate) struct Taken(NonNull<Waiter>);

impl Taken {
    /// # Safety
    /// The waiter was set up, is in no queue, and is valid until its wait is ended. The caller has
    /// claimed the wait, and makes only this value from the claim.
    #[inline]
    pub(crate) unsafe fn new(waiter: NonNull<Waiter>) -> Taken {
        Taken(waiter)
    }

    /// Ends the wait, because the awaited event has happened.
    #[inline]
    pub(crate) fn finish(self) {
        let verdict = Verdict::Done(self.index());
        self.end(verdict);
    }

    /// Ends the wait without success: the operation tries again.
    pub(crate) fn retry(self) {
        self.end(Verdict::Retry);
    }

    /// Returns the waiter. The caller takes over the duty to end the wait.
    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<Waiter> {
        self.0
    }

    #[inline]
    fn end(self, verdict: Verdict) {
        // SAFETY: by the contract of `new`, the wait is claimed for this value only, so the
        // operation stays blocked and its parker valid until this value ends the wait. `end`
        // consumes the value, so the wait is ended once.
        unsafe { Parker::unpark(self.parker(), verdict) };
    }
}

impl Deref for Taken {
    type Target = Waiter;

    #[inline]
    fn deref(&self) -> &Waiter {
        // SAFETY: by the contract of `new` the waiter is valid until its wait is ended, which
        // consumes `self`.
        unsafe { self.0.as_ref() }
    }
}
