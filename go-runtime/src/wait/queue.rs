//! The queue of those who wait for the same thing, at one end of a channel as a rule, first come
//! first served.
//!
//! A [`Waiter`] lies on the stack of whoever waits, or in memory of a future's own. Its links and
//! its `queued` mark are guarded by the lock of the channel whose queue it is in. Nobody leaves the
//! function that made a waiter, and a future's memory is not freed, before the waiter is out of the
//! queue, so every pointer in a queue is valid under that lock.
//!
//! Being in a queue gives no right yet: a select stands in many queues at once, and a deadline may
//! pass. Whoever takes a waiter out to serve it claims its parker first; one that cannot be claimed
//! is no longer waiting, and is dropped from the queue. A waiter that stands in one queue only, for
//! as long as it takes, is claimed by being taken out: the queue's lock decides.

use std::ptr;

use super::claimed::Claimed;
use super::waiter::{Claim, Offer, Waiter};
use crate::primitives::prefetch::{LINE, prefetch, prefetch_to_write};

pub(crate) struct WaitQueue {
    first: *const Waiter,
    last: *const Waiter,
}

// SAFETY: the queue is part of what a channel's lock guards; the waiters are used under it or by
// who claimed them.
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
        self.any_waiting(|waiter| waiter.offer == Offer::Message)
    }

    fn any_waiting(&self, counts: impl Fn(&Waiter) -> bool) -> bool {
        let mut waiter = self.first;
        // SAFETY: null, or in the queue and so valid.
        while let Some(this) = unsafe { waiter.as_ref() } {
            // SAFETY: its owner comes for the lock before it goes.
            if counts(this) && unsafe { !(*this.parker.get()).is_claimed() } {
                return true;
            }
            waiter = this.next.get();
        }
        false
    }

    /// Puts `waiter` at the end.
    ///
    /// # Safety
    /// `waiter` is in no queue, has been set up, and is taken out of this one, under the same lock,
    /// before it goes.
    pub(crate) unsafe fn push(&mut self, waiter: &Waiter) {
        debug_assert!(!waiter.queued.get());
        waiter.queued.set(true);
        waiter.next.set(ptr::null());
        waiter.prev.set(self.last);
        if self.last.is_null() {
            self.first = waiter;
        } else {
            // SAFETY: what is in the queue is valid.
            unsafe { (*self.last).next.set(waiter) };
        }
        self.last = waiter;
    }

    /// Puts `waiter` at the front: it has stood there before.
    ///
    /// # Safety
    /// As for [`push`](Self::push).
    pub(crate) unsafe fn push_front(&mut self, waiter: &Waiter) {
        debug_assert!(!waiter.queued.get());
        waiter.queued.set(true);
        waiter.prev.set(ptr::null());
        waiter.next.set(self.first);
        if self.first.is_null() {
            self.last = waiter;
        } else {
            // SAFETY: what is in the queue is valid.
            unsafe { (*self.first).prev.set(waiter) };
        }
        self.first = waiter;
    }

    /// Takes `waiter` out, if it is still in.
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
            // SAFETY: neighbours in the queue are valid.
            unsafe { (*prev).next.set(next) };
        }
        if next.is_null() {
            self.last = prev;
        } else {
            // SAFETY: as above.
            unsafe { (*next).prev.set(prev) };
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<*const Waiter> {
        let first = self.first;
        prefetch_to_write(first.cast());
        prefetch_to_write(first.cast::<u8>().wrapping_add(LINE));
        // SAFETY: null, or in the queue and so valid.
        let waiter = unsafe { first.as_ref() }?;
        waiter.queued.set(false);
        let next = waiter.next.get();
        self.first = next;
        // SAFETY: null, or in the queue and so valid.
        match unsafe { next.as_ref() } {
            Some(next) => next.prev.set(ptr::null()),
            None => self.last = ptr::null(),
        }
        Some(first)
    }

    /// Takes out and claims the first that still waits. The caller has to end its wait.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<*const Waiter> {
        loop {
            let waiter = self.pop()?;
            // SAFETY: it was in the queue until just now, and we hold the lock: its owner, even if
            // it has been woken otherwise, comes for the lock before it goes.
            let ours =
                unsafe { (*waiter).claim == Claim::ByLock || (*(*waiter).parker.get()).claim() };
            if ours {
                return Some(waiter);
            }
        }
    }

    /// Takes out and claims the first that still waits with its message in the slot; those that
    /// only promise one keep their places. The caller has to end its wait.
    #[cold]
    pub(crate) fn take_message(&mut self) -> Option<*const Waiter> {
        let mut waiter = self.first;
        // SAFETY: null, or in the queue and so valid: only the one looked at is taken out.
        while let Some(this) = unsafe { waiter.as_ref() } {
            let next = this.next.get();
            if this.offer == Offer::Message {
                // SAFETY: it is in this queue.
                unsafe { self.remove(this) };
                // SAFETY: its owner comes for the lock, which we hold, before it goes.
                if this.claim == Claim::ByLock || unsafe { (*this.parker.get()).claim() } {
                    return Some(waiter);
                }
            }
            waiter = next;
        }
        None
    }

    /// Takes out all that still wait, to be told of the same thing.
    pub(crate) fn take_all(&mut self) -> Claimed {
        self.take_some(usize::MAX)
    }

    /// Takes out up to `most` that still wait, to be told of the same thing.
    pub(crate) fn take_some(&mut self, most: usize) -> Claimed {
        let mut claimed = Claimed::new();
        self.take_some_into(most, &mut claimed);
        claimed
    }

    /// Takes out all that still wait, and puts them behind those in `claimed`.
    pub(crate) fn take_all_into(&mut self, claimed: &mut Claimed) {
        self.take_some_into(usize::MAX, claimed);
    }

    fn take_some_into(&mut self, most: usize, claimed: &mut Claimed) {
        for _ in 0..most {
            let Some(waiter) = self.take() else {
                return;
            };
            // Where very many wait, each is cold. (Its first line is being fetched already.)
            prefetch(self.first.cast::<u8>().wrapping_add(LINE));
            // SAFETY: claimed by us, so it stays until we end its wait; `next` is free, now that it
            // is out of the queue.
            unsafe { (*waiter).next.set(ptr::null()) };
            if claimed.last.is_null() {
                claimed.first = waiter;
            } else {
                // SAFETY: as above.
                unsafe { (*claimed.last).next.set(waiter) };
            }
            claimed.last = waiter;
        }
    }
}
