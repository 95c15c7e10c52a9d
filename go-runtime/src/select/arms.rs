//! The typed arms of a `select!`.
//!
//! They lie on the stack of the select, with the waiter and the place for the message in them. All
//! methods take `&self`: while the select is parked, others reach the waiter and the slot through
//! the channel's queue.

use std::cell::Cell;
use std::fmt;
use std::mem;
use std::ptr::NonNull;
use std::time::Instant;

use super::engine::{AnyArm, Arm};
use crate::channel::core::Core;
use crate::channel::slot::{Slot, receive_promised};
use crate::channel::state::{Found, Observed, Place};
use crate::channel::{Receiver, RecvError, SendError, Sender, Source};
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{self, Claim, Claimed, Offer, Parker, Taken, Waiter};

/// A `recv` arm.
pub struct RecvArm<'a, T> {
    receiver: &'a Receiver<T>,
    slot: Slot<T>,
    waiter: Waiter,
    state: Cell<RecvState>,
    entered: Cell<bool>,
}

impl<T> fmt::Debug for RecvArm<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvArm { .. }")
    }
}

enum RecvState {
    /// Not chosen; the slot is empty.
    Open,
    /// The slot holds the message. The sender (if any) is still to be told.
    Message(Option<Taken>),
    /// The channel is closed and empty.
    Closed,
    /// A chosen `send` arm has still to make the message.
    Promised(Taken),
}

impl<T> Receiver<T> {
    /// The arm of a `select!` that receives from here.
    #[doc(hidden)]
    #[expect(
        non_snake_case,
        reason = "rustc prints the name if a type has no such method"
    )]
    pub fn __a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime(&self) -> RecvArm<'_, T> {
        RecvArm {
            receiver: self,
            slot: Slot::new(),
            waiter: Waiter::new(Offer::Message, Claim::Contested),
            state: Cell::new(RecvState::Open),
            entered: Cell::new(false),
        }
    }

    /// Only there for its error message: one cannot send on a receiver.
    #[doc(hidden)]
    #[expect(
        non_snake_case,
        reason = "rustc prints the name if a type has no such method"
    )]
    pub fn __a_send_arm_takes_a_Sender_of_go_runtime(&self) -> SendArm<'_, T>
    where
        Receiver<T>: CanSend,
    {
        unreachable!("no Receiver implements CanSend")
    }

    /// Only there for its error message, as above.
    #[doc(hidden)]
    pub fn send(&self, _message: T) -> Result<(), SendError<T>>
    where
        Receiver<T>: CanSend,
    {
        unreachable!("no Receiver implements CanSend")
    }
}

impl<T> RecvArm<'_, T> {
    #[doc(hidden)]
    pub fn __arm(&self) -> AnyArm<'_> {
        AnyArm(self)
    }

    fn core(&self) -> Option<&Core<T>> {
        match self.receiver.source() {
            Source::Core(core) => Some(core),
            Source::At(_) | Source::Tick(_) | Source::Timer(_) | Source::Never => None,
        }
    }

    fn put(&self, message: T, sender: Option<Taken>) -> bool {
        // SAFETY: the arm is open, so the slot is empty, and nobody else knows it (no waiter is
        // queued).
        unsafe { self.slot.put(message) };
        self.state.set(RecvState::Message(sender));
        true
    }

    /// The result of the arm. Called once, when it has been chosen.
    #[doc(hidden)]
    pub fn __take(self) -> Result<T, RecvError> {
        match self.state.replace(RecvState::Open) {
            // SAFETY: this state says so, and no waiter is queued any more.
            RecvState::Message(_) => Ok(unsafe { self.slot.take() }),
            RecvState::Closed => Err(RecvError),
            RecvState::Open | RecvState::Promised(_) => {
                unreachable!("only the chosen arm is asked for its message")
            }
        }
    }
}

// SAFETY: the state is used under the lock; `dequeue` and `stop_observing` remove the only pointer
// to the arm, its waiter.
unsafe impl<T> Arm for RecvArm<'_, T> {
    fn enter(&self) -> bool {
        !self.entered.replace(true)
    }

    fn lock(&self) -> Option<&RawSpinLock> {
        self.receiver.raw_lock()
    }

    unsafe fn poll(&self, told: &mut Claimed) -> bool {
        match self.receiver.source() {
            Source::Core(core) => {
                // SAFETY: the lock is held, and this reference ends with the function.
                let state = unsafe { core.state() };
                match state.find_message(core.capacity()) {
                    Found::Message(message, sender) => {
                        self.put(message, sender);
                    }
                    Found::Promise(sender) => self.state.set(RecvState::Promised(sender)),
                    Found::Closed => self.state.set(RecvState::Closed),
                    Found::Nothing => return false,
                }
                state.take_observers(core.capacity(), told);
                true
            }
            Source::At(at) => at.try_take().is_some_and(|time| self.put(time, None)),
            Source::Tick(tick) => tick.try_take().is_some_and(|time| self.put(time, None)),
            Source::Timer(timer) => {
                // SAFETY: the engine holds the lock, and this is the only access to the timer until
                // the function ends.
                let mut moment = unsafe { timer.state() };
                let time = timer.take_from(&mut moment);
                time.is_some_and(|time| self.put(time, None))
            }
            Source::Never => false,
        }
    }

    fn conclude(&self) -> bool {
        match self.state.replace(RecvState::Open) {
            RecvState::Message(sender) => {
                if let Some(sender) = sender {
                    sender.finish();
                }
                self.state.set(RecvState::Message(None));
            }
            RecvState::Promised(sender) => {
                // SAFETY: `poll` has found it in a channel of `T`.
                let Some(message) = (unsafe { receive_promised(sender) }) else {
                    return false;
                };
                self.put(message, None);
            }
            // In a loop it would be found so again and again.
            RecvState::Closed => {
                self.state.set(RecvState::Closed);
                wait::polled_in_vain();
            }
            RecvState::Open => {}
        }
        true
    }

    unsafe fn enqueue(&self, parker: &Parker, index: usize, told: &mut Claimed) -> Option<Instant> {
        let Some(core) = self.core() else {
            // Who takes a timed message makes it, so there is nothing to be handed over: only to
            // look again. SAFETY: the lock is held, if there is one; `dequeue` stops it.
            return unsafe { self.observe(parker) };
        };
        self.waiter.set_up(parker, index, self.slot.as_ptr());
        // SAFETY: the lock is held, and this reference ends with the function.
        let state = unsafe { core.state() };
        // SAFETY: the waiter is set up and in no queue; the engine calls `dequeue`, under the lock,
        // before the arm or the parker ends.
        unsafe { state.receivers.push(&self.waiter) };
        state.take_observers(core.capacity(), told);
        None
    }

    unsafe fn dequeue(&self) {
        match self.core() {
            // SAFETY: the lock is held; this channel is the one it was queued in.
            Some(core) => unsafe { core.state().receivers.remove(&self.waiter) },
            // SAFETY: as above.
            None => unsafe { self.stop_observing() },
        }
    }

    unsafe fn is_ready(&self) -> bool {
        // SAFETY: the lock is held.
        unsafe { self.receiver.is_ready_locked() }
    }

    unsafe fn observe(&self, parker: &Parker) -> Option<Instant> {
        self.waiter.set_up(parker, 0, std::ptr::null_mut());
        // SAFETY: the lock is held; the engine takes it out.
        unsafe {
            self.receiver.observe_locked(&self.waiter);
            self.receiver.due_locked()
        }
    }

    unsafe fn stop_observing(&self) {
        // SAFETY: the lock is held; this channel is the one it was queued in.
        unsafe { self.receiver.stop_observing_locked(&self.waiter) };
    }

    fn won(&self, closed: bool) {
        self.state.set(if closed {
            RecvState::Closed
        } else {
            // Whoever claimed the waiter has put the message into the slot.
            RecvState::Message(None)
        });
    }
}

/// A `send` arm. Its message is made when the arm has been chosen.
pub struct SendArm<'a, T> {
    sender: &'a Sender<T>,
    waiter: Waiter,
    place: Cell<Option<Place>>,
    entered: Cell<bool>,
}

impl<T> fmt::Debug for SendArm<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendArm { .. }")
    }
}

impl<T> Sender<T> {
    /// The arm of a `select!` that sends to here.
    #[doc(hidden)]
    #[expect(
        non_snake_case,
        reason = "rustc prints the name if a type has no such method"
    )]
    pub fn __a_send_arm_takes_a_Sender_of_go_runtime(&self) -> SendArm<'_, T> {
        SendArm {
            sender: self,
            waiter: Waiter::new(Offer::Promise, Claim::Contested),
            place: Cell::new(None),
            entered: Cell::new(false),
        }
    }

    /// Only there for its error message: one cannot receive from a sender.
    #[doc(hidden)]
    #[expect(
        non_snake_case,
        reason = "rustc prints the name if a type has no such method"
    )]
    pub fn __a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime(&self) -> RecvArm<'_, T>
    where
        Sender<T>: CanReceive,
    {
        unreachable!("no Sender implements CanReceive")
    }

    /// Only there for its error message, as above.
    #[doc(hidden)]
    pub fn recv(&self) -> Result<T, RecvError>
    where
        Sender<T>: CanReceive,
    {
        unreachable!("no Sender implements CanReceive")
    }
}

impl<'a, T> SendArm<'a, T> {
    #[doc(hidden)]
    pub fn __arm(&self) -> AnyArm<'_> {
        AnyArm(self)
    }

    /// What the arm was given. Called once, when it has been chosen.
    #[doc(hidden)]
    pub fn __reserve(self) -> Reservation<'a, T> {
        let Some(place) = self.place.take() else {
            unreachable!("only the chosen arm is asked for its place");
        };
        Reservation {
            core: self.sender.core(),
            place,
        }
    }
}

// SAFETY: the state is used under the lock; `dequeue` and `stop_observing` remove the only pointer
// to the arm, its waiter.
unsafe impl<T> Arm for SendArm<'_, T> {
    fn enter(&self) -> bool {
        !self.entered.replace(true)
    }

    fn lock(&self) -> Option<&RawSpinLock> {
        Some(self.sender.core().raw_lock())
    }

    unsafe fn poll(&self, told: &mut Claimed) -> bool {
        let core = self.sender.core();
        // SAFETY: the lock is held, and this reference ends with the function.
        let state = unsafe { core.state() };
        let place = state.find_place(core.capacity());
        if place.is_none() {
            return false;
        }
        state.take_observers(core.capacity(), told);
        self.place.set(place);
        true
    }

    fn conclude(&self) -> bool {
        let place = self.place.take();
        if let Some(Place::Closed) = place {
            wait::polled_in_vain();
        }
        self.place.set(place);
        true
    }

    unsafe fn enqueue(&self, parker: &Parker, index: usize, told: &mut Claimed) -> Option<Instant> {
        self.waiter.set_up(parker, index, std::ptr::null_mut());
        let core = self.sender.core();
        // SAFETY: the lock is held, and this reference ends with the function.
        let state = unsafe { core.state() };
        // SAFETY: the waiter is set up and in no queue; the engine calls `dequeue`, under the lock,
        // before the arm or the parker ends.
        unsafe { state.senders.push(&self.waiter) };
        state.take_observers(core.capacity(), told);
        None
    }

    unsafe fn dequeue(&self) {
        // SAFETY: the lock is held; this channel is the one it was queued in.
        unsafe { self.sender.core().state().senders.remove(&self.waiter) };
    }

    unsafe fn is_ready(&self) -> bool {
        let core = self.sender.core();
        // SAFETY: the lock is held.
        unsafe { core.state() }.can_send(core.capacity())
    }

    unsafe fn observe(&self, parker: &Parker) -> Option<Instant> {
        self.waiter.set_up(parker, 0, std::ptr::null_mut());
        // SAFETY: the lock is held; the engine takes it out.
        unsafe {
            self.sender
                .core()
                .state()
                .enqueue_observer(Observed::Send, &self.waiter)
        };
        None
    }

    unsafe fn stop_observing(&self) {
        // SAFETY: the lock is held; this channel is the one it was queued in.
        unsafe {
            self.sender
                .core()
                .state()
                .dequeue_observer(Observed::Send, &self.waiter)
        };
    }

    fn won(&self, closed: bool) {
        let place = if closed {
            Place::Closed
        } else if let Some(receiver) = NonNull::new(self.waiter.slot()) {
            // SAFETY: the receiver has claimed its own wait for this arm, put its waiter into the
            // arm's slot (`receive_promised` or `await_promise`), and waits for this arm to end
            // the wait: it is in no queue, and valid until then.
            Place::Receiver(unsafe { Taken::new(receiver.cast()) })
        } else {
            Place::Reserved
        };
        self.place.set(Some(place));
    }
}

/// A chosen `send` arm's place for its message. Dropped without a message it gives the place back.
#[must_use]
pub struct Reservation<'a, T> {
    core: &'a Core<T>,
    place: Place,
}

impl<T> fmt::Debug for Reservation<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Reservation { .. }")
    }
}

impl<T> Reservation<'_, T> {
    #[doc(hidden)]
    pub fn __send(mut self, message: T) -> Result<(), SendError<T>> {
        let core = self.core;
        let place = mem::replace(&mut self.place, Place::Closed);
        // SAFETY: the arm got the place from this channel, and it has been taken out of the
        // reservation.
        unsafe { core.keep_promise(place, message) }.map_err(SendError)
    }
}

impl<T> Drop for Reservation<'_, T> {
    fn drop(&mut self) {
        // (`__send` leaves a place behind that asks for nothing.)
        self.core
            .break_promise(mem::replace(&mut self.place, Place::Closed));
    }
}

/// What can be received from in a `select!`.
#[diagnostic::on_unimplemented(
    message = "cannot receive from a `Sender`",
    label = "this is the sending end of a channel",
    note = "use the `Receiver` to receive: `rx.recv()`, or in a select `recv(rx) -> msg` or `msg = \
            <-rx`"
)]
#[doc(hidden)]
pub trait CanReceive {}

/// What can be sent to in a `select!`.
#[diagnostic::on_unimplemented(
    message = "cannot send on a `Receiver`",
    label = "this is the receiving end of a channel",
    note = "use the `Sender` to send: `tx.send(value)`, or in a select `send(tx, value) -> res` or \
            `tx <- value`"
)]
#[doc(hidden)]
pub trait CanSend {}
