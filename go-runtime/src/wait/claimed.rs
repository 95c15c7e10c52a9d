//! [`Claimed`]: waiters that were taken out of their queues, all for the same event.

use std::ptr::{self, NonNull};

use super::parker::Parker;
use super::taken::Taken;
use super::unparker::Unparker;
use super::verdict::Verdict;
use super::waiter::Waiter;

/// A list of claimed waiters, to be told once the lock of their queue has been given back.
///
/// Each operation stays blocked, and its waiter stays valid, until this list ends that wait. A list
/// that is dropped leaves its operations blocked for ever.
#[must_use = "the waiters stay blocked until their waits are ended"]
pub(crate) struct Claimed {
    first: *const Waiter,
    last: *const Waiter,
}

impl Claimed {
    #[inline]
    pub(crate) fn new() -> Claimed {
        Claimed {
            first: ptr::null(),
            last: ptr::null(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Puts a waiter at the end.
    #[inline]
    pub(super) fn add(&mut self, taken: Taken) {
        // SAFETY: `into_raw` leaves the duty to end the wait to this list, and a taken waiter is in
        // no queue.
        unsafe { self.push(taken.into_raw()) };
    }

    /// Puts a waiter at the end.
    ///
    /// # Safety
    /// The waiter was a [`Taken`], whose wait is not ended and is left to this list. It is in no
    /// other list.
    #[inline]
    unsafe fn push(&mut self, waiter: NonNull<Waiter>) {
        // SAFETY: a taken waiter is valid until its wait is ended, which only this list does from
        // now on; and it is in no list, so its link is free.
        unsafe { waiter.as_ref().next.set(ptr::null()) };
        let waiter = waiter.as_ptr().cast_const();
        if self.last.is_null() {
            self.first = waiter;
        } else {
            // SAFETY: `last` was put here as a taken waiter, and this list has not ended its wait.
            unsafe { (*self.last).next.set(waiter) };
        }
        self.last = waiter;
    }

    /// Ends all waits, because the awaited event can no longer happen.
    pub(crate) fn close(self) {
        self.end(Verdict::Closed);
    }

    /// Ends the waits of goroutines and threads like [`close`](Self::close), and moves the futures'
    /// to the end of `futures`.
    pub(crate) fn close_but_futures(self, futures: &mut Claimed) {
        self.end_but_futures(&Verdict::Closed, futures);
    }

    /// Ends all waits, because the awaited event has happened.
    pub(crate) fn finish(self) {
        self.end(Verdict::Done);
    }

    /// Ends the waits of observers, which then check their operations again.
    #[inline]
    pub(crate) fn retry(self) {
        if !self.is_empty() {
            self.end(|_| Verdict::Retry);
        }
    }

    /// Ends all waits, each with the verdict that `verdict` returns for the waiter's number.
    ///
    /// The waits of futures end last: their wakers are user code, which may wait for any goroutine
    /// that the same event wakes.
    fn end(self, verdict: impl Fn(usize) -> Verdict) {
        let mut futures = Claimed::new();
        self.end_but_futures(&verdict, &mut futures);
        let mut waiter = futures.first;
        // SAFETY: each waiter in the list is valid until its wait is ended; this loop ends each
        // once, and reads the link, the number and the parker of a waiter before.
        while let Some(this) = unsafe { waiter.as_ref() } {
            waiter = this.next.get();
            let (parker, verdict) = (this.parker(), verdict(this.index()));
            // SAFETY: `add` got the waiter as a `Taken`, the one right to end its wait. The parker
            // is valid, as its operation is blocked until this call.
            unsafe { Parker::unpark(parker, verdict) };
        }
    }

    /// Ends the waits of goroutines and threads, and moves the futures' to the end of `futures`.
    #[inline]
    fn end_but_futures(self, verdict: &impl Fn(usize) -> Verdict, futures: &mut Claimed) {
        let mut waiter = self.first;
        let mut unparker = Unparker::new();
        // SAFETY: each waiter in the list is valid until its wait is ended; this loop ends each
        // once at most, and reads the link, the number and the parker of a waiter before.
        while let Some(this) = unsafe { waiter.as_ref() } {
            waiter = this.next.get();
            let parker = this.parker();
            // SAFETY: the parker is valid, as its operation is blocked until its wait is ended.
            if unsafe { (*parker).is_future() } {
                // SAFETY: `add` got the waiter as a `Taken`. The loop has passed it without ending
                // its wait, so it is in this list no more.
                unsafe { futures.push(NonNull::from(this)) };
                continue;
            }
            let verdict = verdict(this.index());
            // SAFETY: `add` got the waiter as a `Taken`, the one right to end its wait. The parker
            // is valid, as its operation is blocked until this call.
            unsafe { unparker.unpark(parker, verdict) };
        }
    }
}
