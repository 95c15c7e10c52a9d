//! A waiter: one blocked operation's place in one queue.
//!
//! A [`Waiter`] lies on the stack of the blocked operation, or in memory that a future owns. Its
//! links, its `queued` mark and its slot pointer are guarded by the lock of the queue that the
//! waiter is in, until a thread has claimed the waiter: from then on they belong to that thread,
//! until it ends the wait.
//!
//! ```text
//!  stack of the blocked operation
//! +--------------------------------+
//! | Waiter  next, prev  -----------+--> neighbors in the queue
//! |         parker      --+        |
//! |         slot        --+--+     |
//! | Parker            <---+  |     |
//! | message           <------+     |
//! +--------------------------------+
//! ```

use std::cell::Cell;
use std::ptr;

use super::parker::Parker;

/// What a waiter offers to its partner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Offer {
    /// A sender whose message lies in the slot, or a receiver.
    Message,
    /// A sender that makes its message only once it has been chosen (a `send` arm of a select).
    Promise,
}

/// How the thread that ends a wait claims it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// By taking the waiter out of the only queue that the waiter is in.
    ByLock,
    /// By the handshake of the waiter's parker: the clock, another queue, or the drop of a future
    /// may end the same wait.
    Contested,
}

impl Claim {
    /// Returns how a wait in one queue until `deadline` is claimed.
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
    parker: Cell<*const Parker>,
    /// The address of the message, or of the place for it. For a promise it is null, or the address
    /// of the receiver that waits for the promise to be kept.
    slot: Cell<*mut ()>,
    /// The number by which the blocked operation knows this waiter (the arm of a select).
    index: Cell<usize>,
    offer: Offer,
    claim: Claim,
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

    /// Sets the parker of the waiting operation, the number by which the operation knows this
    /// waiter, and the address of the message.
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

    pub(super) fn index(&self) -> usize {
        self.index.get()
    }

    pub(super) fn parker(&self) -> *const Parker {
        self.parker.get()
    }

    /// Takes the right to end the wait, for the thread that has just taken this waiter out of a
    /// queue.
    ///
    /// # Safety
    /// The waiter was set up, and its parker is valid.
    #[inline]
    pub(super) unsafe fn claim(&self) -> bool {
        // SAFETY: the caller says that the parker is valid.
        self.claim == Claim::ByLock || unsafe { (*self.parker.get()).claim() }
    }

    /// Returns whether the right to end the wait has been taken.
    ///
    /// # Safety
    /// The waiter was set up, and its parker is valid.
    pub(super) unsafe fn is_claimed(&self) -> bool {
        // SAFETY: the caller says that the parker is valid.
        unsafe { (*self.parker.get()).is_claimed() }
    }
}
