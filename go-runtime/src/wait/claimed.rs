//! The waiters that one event ends the waits of.

use std::ptr;

use super::unparker::Unparker;
use super::verdict::Verdict;
use super::waiter::Waiter;

/// Waiters that have been claimed, to be told once the lock has been given back.
#[must_use]
pub(crate) struct Claimed {
    pub(super) first: *const Waiter,
    pub(super) last: *const Waiter,
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

    pub(crate) fn close(self) {
        self.end(Verdict::Closed);
    }

    /// Tells observers to look again.
    #[inline]
    pub(crate) fn look_again(self) {
        if !self.is_empty() {
            self.end(|_| Verdict::Retry);
        }
    }

    /// Ends all the waits, each with the verdict on its number.
    pub(crate) fn end(self, verdict: impl Fn(usize) -> Verdict) {
        let mut waiter = self.first;
        let mut unparker = Unparker::new();
        while !waiter.is_null() {
            // SAFETY: each is claimed by us and stays until the unpark; the link is read before.
            unsafe {
                let next = (*waiter).next.get();
                let index = (*waiter).index.get();
                unparker.unpark((*waiter).parker.get(), verdict(index));
                waiter = next;
            }
        }
    }
}
