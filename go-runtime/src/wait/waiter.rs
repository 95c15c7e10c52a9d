//! A waiter: one place in one queue.

use std::cell::Cell;
use std::ptr;

use super::parker::Parker;
use super::verdict::Verdict;

/// What a waiter offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Offer {
    /// A sender whose message is in the slot, or a receiver.
    Message,
    /// A sender that makes its message only when it has been chosen (a `send` arm of a select).
    Promise,
}

/// How a wait is claimed, by whoever ends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// By taking the waiter out of the one queue that it is in.
    ByLock,
    /// By its parker's handshake: others may want it too, the clock, another channel, a future that
    /// is dropped.
    Contested,
}

impl Claim {
    /// For a wait in one queue until `deadline`.
    #[inline]
    pub(crate) fn until<T>(deadline: Option<T>) -> Claim {
        if deadline.is_some() {
            Claim::Contested
        } else {
            Claim::ByLock
        }
    }
}

#[repr(align(64))]
pub(crate) struct Waiter {
    pub(super) next: Cell<*const Waiter>,
    pub(super) prev: Cell<*const Waiter>,
    pub(super) queued: Cell<bool>,
    pub(super) parker: Cell<*const Parker>,
    /// Where the message lies or is to be put. For a promise: null, or the receiver that waits for
    /// it to be kept.
    slot: Cell<*mut ()>,
    /// The number that its owner knows it by (the arm of a select).
    pub(super) index: Cell<usize>,
    pub(super) offer: Offer,
    pub(super) claim: Claim,
}

impl Waiter {
    #[inline]
    pub(crate) fn new(offer: Offer, claim: Claim) -> Waiter {
        Waiter {
            next: Cell::new(ptr::null()),
            prev: Cell::new(ptr::null()),
            queued: Cell::new(false),
            parker: Cell::new(ptr::null()),
            slot: Cell::new(ptr::null_mut()),
            index: Cell::new(0),
            offer,
            claim,
        }
    }

    /// Says who waits, what for, and where the message is.
    pub(crate) fn set_up(&self, parker: &Parker, index: usize, slot: *mut ()) {
        self.parker.set(parker);
        self.index.set(index);
        self.slot.set(slot);
    }

    pub(crate) fn offer(&self) -> Offer {
        self.offer
    }

    pub(crate) fn slot(&self) -> *mut () {
        self.slot.get()
    }

    pub(crate) fn set_slot(&self, slot: *mut ()) {
        self.slot.set(slot);
    }

    /// Ends the wait: what was waited for has happened.
    ///
    /// # Safety
    /// `this` is valid, and the caller has claimed it and taken it out of its queue. It may dangle
    /// afterwards.
    #[inline]
    pub(crate) unsafe fn finish(this: *const Waiter) {
        // SAFETY: the waiter and its parker stay until the unpark.
        unsafe {
            let index = (*this).index.get();
            Parker::unpark((*this).parker.get(), Verdict::Done(index));
        }
    }

    /// Ends the wait of a receiver whose sender has broken its promise.
    ///
    /// # Safety
    /// As for [`finish`](Self::finish).
    pub(crate) unsafe fn retry(this: *const Waiter) {
        // SAFETY: as in `finish`.
        unsafe { Parker::unpark((*this).parker.get(), Verdict::Retry) }
    }
}
