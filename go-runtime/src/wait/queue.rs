//! A queue of waiters for the same event, first come, first served.
//!
//! A queue is part of what some lock guards, and is used under that lock only. An operation whose
//! waiter is in the queue does not end before the waiter is out again, and a waiter leaves the
//! queue only under the same lock. So under the lock every waiter in the queue, and its parker, is
//! valid.
//!
//! A place in a queue does not yet give the right to be served: a select has a place in many queues
//! at once, and a deadline may pass. A thread that takes a waiter out to serve it claims the waiter
//! first. A waiter that cannot be claimed no longer waits, and is dropped from the queue. A waiter
//! that stands in one queue only, without a deadline, is claimed by being taken out: the queue's
//! lock decides.

use std::ptr::{self, NonNull};

use super::claimed::Claimed;
use super::taken::Taken;
use super::waiter::{Offer, Waiter};
use crate::primitives::prefetch::{LINE, prefetch, prefetch_to_write};

pub(crate) struct WaitQueue {
    first: *const Waiter,
    last: *const Waiter,
}

// SAFETY: the waiters belong to other threads, and are used as the heads of this file and of
// `waiter` say: under the lock that guards the queue, or by the one thread that has claimed the
// waiter. Neither depends on the thread that owns the queue.
unsafe impl Send for WaitQueue {}

impl WaitQueue {
    pub(crate) const fn new() -> Self {
        WaitQueue {
            first: ptr::null(),
            last: ptr::null(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Returns whether any waiter in the queue still waits.
    pub(crate) fn has_waiting(&self) -> bool {
        self.any_waiting(|_| true)
    }

    /// Returns whether any waiter in the queue still waits with its message in the slot.
    pub(crate) fn has_message(&self) -> bool {
        self.any_waiting(|waiter| waiter.offer() == Offer::Message)
    }

    fn any_waiting(&self, counts: impl Fn(&Waiter) -> bool) -> bool {
        let mut waiter = self.first;
        // SAFETY: the pointer is null, or a waiter in this queue, which is valid.
        while let Some(this) = unsafe { waiter.as_ref() } {
            // SAFETY: a waiter is set up before it is pushed, and its parker is valid for as long
            // as the waiter is in the queue.
            if counts(this) && unsafe { !this.is_claimed() } {
                return true;
            }
            waiter = this.next.get();
        }
        false
    }

    /// Puts `waiter` at the end.
    ///
    /// # Safety
    /// `waiter` is in no queue and has been set up. Before the waiter or its parker ends, the
    /// waiter is out of this queue again, taken out under the lock that guards the queue.
    pub(crate) unsafe fn push(&mut self, waiter: &Waiter) {
        debug_assert!(!waiter.queued.get());
        waiter.queued.set(true);
        waiter.next.set(ptr::null());
        waiter.prev.set(self.last);
        if self.last.is_null() {
            self.first = waiter;
        } else {
            // SAFETY: the last waiter in the queue is valid.
            unsafe { (*self.last).next.set(waiter) };
        }
        self.last = waiter;
    }

    /// Puts `waiter` at the front.
    ///
    /// # Safety
    /// The contract of [`push`](Self::push).
    pub(crate) unsafe fn push_front(&mut self, waiter: &Waiter) {
        debug_assert!(!waiter.queued.get());
        waiter.queued.set(true);
        waiter.prev.set(ptr::null());
        waiter.next.set(self.first);
        if self.first.is_null() {
            self.last = waiter;
        } else {
            // SAFETY: the first waiter in the queue is valid.
            unsafe { (*self.first).prev.set(waiter) };
        }
        self.first = waiter;
    }

    /// Takes `waiter` out of the queue, if it is still in it.
    ///
    /// # Safety
    /// If `waiter` is in a queue, it is in this one.
    pub(crate) unsafe fn remove(&mut self, waiter: &Waiter) {
        if !waiter.queued.replace(false) {
            return;
        }
        let (prev, next) = (waiter.prev.get(), waiter.next.get());
        if prev.is_null() {
            self.first = next;
        } else {
            // SAFETY: the caller says that the waiter is in this queue, so the waiter before it is
            // in this queue too, and valid.
            unsafe { (*prev).next.set(next) };
        }
        if next.is_null() {
            self.last = prev;
        } else {
            // SAFETY: the caller says that the waiter is in this queue, so the waiter behind it is
            // in this queue too, and valid.
            unsafe { (*next).prev.set(prev) };
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<NonNull<Waiter>> {
        let first = self.first;
        prefetch_to_write(first.cast());
        prefetch_to_write(first.cast::<u8>().wrapping_add(LINE));
        // SAFETY: the pointer is null, or the first waiter in the queue, which is valid.
        let waiter = unsafe { first.as_ref() }?;
        waiter.queued.set(false);
        let next = waiter.next.get();
        self.first = next;
        // SAFETY: the pointer is null, or the second waiter in the queue, which is valid.
        match unsafe { next.as_ref() } {
            Some(next) => next.prev.set(ptr::null()),
            None => self.last = ptr::null(),
        }
        Some(NonNull::from(waiter))
    }

    /// Takes out and claims the first waiter that still waits.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Taken> {
        loop {
            let waiter = self.pop()?;
            // SAFETY: the waiter was in the queue until just now, and the caller has the lock. The
            // waiter's operation takes the lock before it ends, even if another thread woke it, so
            // the waiter and its parker are still valid.
            if unsafe { waiter.as_ref().claim() } {
                // SAFETY: the waiter is out of the queue and claimed, so that its operation stays
                // blocked until its wait is ended. This is the only value made of this claim.
                return Some(unsafe { Taken::new(waiter) });
            }
        }
    }

    /// Takes out and claims the first waiter that still waits with its message in the slot. Waiters
    /// that only promise a message keep their places.
    #[cold]
    pub(crate) fn take_message(&mut self) -> Option<Taken> {
        let mut waiter = self.first;
        // SAFETY: the pointer is null, or a waiter in the queue, which is valid: this loop takes
        // out a waiter only after it has read the waiter's link.
        while let Some(this) = unsafe { waiter.as_ref() } {
            let next = this.next.get();
            if this.offer() == Offer::Message {
                // SAFETY: the loop found the waiter in this queue.
                unsafe { self.remove(this) };
                // SAFETY: the waiter was in the queue until just now, and the caller has the lock,
                // which the waiter's operation takes before it ends: waiter and parker are valid.
                if unsafe { this.claim() } {
                    // SAFETY: the waiter is out of the queue and claimed, so that its operation
                    // stays blocked until its wait is ended. This is the only value made of this
                    // claim.
                    return Some(unsafe { Taken::new(NonNull::from(this)) });
                }
            }
            waiter = next;
        }
        None
    }

    /// Takes out all waiters that still wait, to be told of the same event.
    pub(crate) fn take_all(&mut self) -> Claimed {
        self.take_some(usize::MAX)
    }

    /// Takes out up to `most` waiters that still wait, to be told of the same event.
    pub(crate) fn take_some(&mut self, most: usize) -> Claimed {
        let mut claimed = Claimed::new();
        self.take_some_into(most, &mut claimed);
        claimed
    }

    /// Takes out all waiters that still wait, and puts them behind those in `claimed`.
    pub(crate) fn take_all_into(&mut self, claimed: &mut Claimed) {
        self.take_some_into(usize::MAX, claimed);
    }

    fn take_some_into(&mut self, most: usize, claimed: &mut Claimed) {
        for _ in 0..most {
            let Some(waiter) = self.take() else {
                return;
            };
            // Prefetches the next waiter's second cache line: where very many waiters are queued,
            // each is cold in the caches. (`pop` fetches the first line.)
            prefetch(self.first.cast::<u8>().wrapping_add(LINE));
            claimed.add(waiter);
        }
    }
}
