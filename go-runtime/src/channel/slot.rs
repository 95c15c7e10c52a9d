//! [`Slot`], which holds a message while the sender or the receiver is blocked, and the hand-over
//! of the message.
//!
//! A slot lies on the stack of the blocked operation, or in memory that a future owns; the partner
//! reaches the slot through the [`Waiter`]. Invariant: while the operation is blocked, only the
//! thread that has taken the waiter uses the slot, until that thread ends the wait.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use crate::wait::{Claim, Offer, Parker, Taken, Verdict, WaitReason, Waiter, Why};

/// One blocked operation on one channel.
///
/// The fields that its partner reads first are in one cache line. The next line holds the fields
/// that the partner writes and the blocked operation polls, and a small message.
#[repr(C)]
pub(super) struct Wait<T> {
    pub(super) waiter: Waiter,
    pub(super) parker: Parker,
    pub(super) slot: Slot<T>,
}

impl<T> Wait<T> {
    /// Makes a wait for the calling goroutine or thread.
    #[inline(always)]
    pub(super) fn new(claim: Claim) -> Wait<T> {
        Wait::with(Parker::new(), claim)
    }

    #[inline(always)]
    pub(super) fn with(parker: Parker, claim: Claim) -> Wait<T> {
        Wait {
            waiter: Waiter::new(Offer::Message, claim),
            parker,
            slot: Slot::new(),
        }
    }

    /// Sets up the waiter with the addresses of the parker and the slot. The wait must not move
    /// from now on.
    pub(super) fn set_up(&self) {
        self.waiter.set_up(&self.parker, 0, self.slot.as_ptr());
    }
}

/// Room for one message, at an address that other threads may know.
pub(crate) struct Slot<T>(UnsafeCell<MaybeUninit<T>>);

impl<T> Slot<T> {
    pub(crate) fn new() -> Slot<T> {
        Slot(UnsafeCell::new(MaybeUninit::uninit()))
    }

    pub(crate) fn as_ptr(&self) -> *mut () {
        self.0.get().cast()
    }

    /// Puts a message into the slot.
    ///
    /// # Safety
    /// No other thread uses the slot during the call. (If the slot is not empty, its message
    /// leaks.)
    pub(crate) unsafe fn put(&self, message: T) {
        // SAFETY: the caller says that no other thread uses the slot during this call, and no
        // reference to its content lives beyond a call.
        unsafe { (*self.0.get()).write(message) };
    }

    /// Takes the message out of the slot.
    ///
    /// # Safety
    /// The slot holds a message, and counts as empty afterwards. No other thread uses the slot
    /// during the call.
    pub(crate) unsafe fn take(&self) -> T {
        // SAFETY: the caller says that the slot holds a message, which is moved out once, and that
        // no other thread uses the slot during this call.
        unsafe { (*self.0.get()).assume_init_read() }
    }
}

/// Puts `message` into a receiver's slot, and ends the receiver's wait.
///
/// # Safety
/// The receiver waits for a `T`, and its slot is empty.
#[inline(always)]
pub(super) unsafe fn hand_over<T>(receiver: Taken, message: T) {
    // SAFETY: the slot of a receiver that waits for a `T` is valid for one, and empty. Only the
    // thread that has taken the receiver uses its slot until the wait is ended, below.
    unsafe { receiver.slot().cast::<T>().write(message) };
    receiver.finish();
}

/// Waits for a chosen `send` arm to make its message. Returns `None` if the arm made none.
///
/// # Safety
/// `sender` is a chosen `send` arm (a promise) of a channel of `T`.
pub(crate) unsafe fn receive_promised<T>(sender: Taken) -> Option<T> {
    let wait = Wait::<T>::new(Claim::Contested);
    let Wait {
        waiter,
        parker,
        slot,
    } = &wait;
    // Claims the wait on the sender's behalf. The claim succeeds, because no other thread knows
    // this parker.
    let claimed = parker.claim();
    debug_assert!(claimed);
    wait.set_up();
    // Tells the sender of this waiter, through the sender's slot. From now on the sender will end
    // this wait in any case, with a message or without.
    sender.set_slot(std::ptr::from_ref(waiter).cast_mut().cast());
    sender.finish();
    parker.note(Why::alone(WaitReason::ChanReceive));
    match parker.park(None) {
        // SAFETY: the verdict `Done` says that the sender has put its message into the slot, by
        // `hand_over`. The wait is over, so only this function uses the slot, and it takes the
        // message once.
        Verdict::Done(_) => Some(unsafe { slot.take() }),
        _ => None,
    }
}
