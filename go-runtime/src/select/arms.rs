//! The typed arms of a `select!`: [`RecvArm`] and [`SendArm`].
//!
//! An arm lies on the stack of the select, and contains its waiter and (for a receive) the slot for
//! the message. Only the selecting thread uses the arm itself, and it uses what the channel guards
//! only under the channel's lock. All methods take `&self`: while the select is parked, partners on
//! other threads reach the waiter and the slot through the channel's queue, so no exclusive
//! reference to the arm may exist.

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
    /// The arm has not been chosen, and its slot is empty.
    Open,
    /// The slot holds the message. If there is a sender, its wait still has to be ended.
    Message(Option<Taken>),
    /// The channel is closed and empty.
    Closed,
    /// The partner is a chosen `send` arm of another select, which still has to make the message.
    Promised(Taken),
}

impl<T> Receiver<T> {
    /// Returns the arm of a `select!` that receives from this channel.
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

    /// Exists for its error message only: a receiver cannot send.
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

    /// Exists for its error message only: a receiver cannot send.
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
        // SAFETY: the arm is open, so the slot is empty. Its waiter is in no queue, so no other
        // thread knows the slot's address.
        unsafe { self.slot.put(message) };
        self.state.set(RecvState::Message(sender));
        true
    }

    /// Returns the result of the arm. The select calls this once, for the arm that it has chosen.
    #[doc(hidden)]
    pub fn __take(self) -> Result<T, RecvError> {
        match self.state.replace(RecvState::Open) {
            // SAFETY: the state `Message` means that the slot holds a message, and the `replace`
            // above makes this the only call that takes it. The select is over, so the waiter is in
            // no queue and no other thread uses the slot.
            RecvState::Message(_) => Ok(unsafe { self.slot.take() }),
            RecvState::Closed => Err(RecvError),
            RecvState::Open | RecvState::Promised(_) => {
                unreachable!("only the chosen arm is asked for its message")
            }
        }
    }
}

// SAFETY: the methods that require the channel's lock use the channel's state only during the call.
// The only pointer to the arm that a channel holds is its waiter, and `dequeue` and
// `stop_observing` remove the waiter from the queue that it is in.
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
                // SAFETY: the caller holds the lock, and this reference ends with the function.
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
                // SAFETY: the caller holds the lock, and this is the only access to the timer until
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
                // SAFETY: `poll` took this sender from the senders of a `Core<T>`, so its promise
                // is one of a `T`.
                let Some(message) = (unsafe { receive_promised(sender) }) else {
                    return false;
                };
                self.put(message, None);
            }
            // A loop around the select would find the channel closed again and again, so this
            // counts as a failed poll, after which other goroutines may run.
            RecvState::Closed => {
                self.state.set(RecvState::Closed);
                wait::note_failed_poll();
            }
            RecvState::Open => {}
        }
        true
    }

    unsafe fn enqueue(&self, parker: &Parker, index: usize, told: &mut Claimed) -> Option<Instant> {
        let Some(core) = self.core() else {
            // The receiver of a timed message makes the message itself, so no partner can hand one
            // over: the arm only observes, and polls again.
            // SAFETY: the caller holds the lock, if the channel has one, and calls `dequeue`, which
            // ends the observation, before the arm or the parker ends.
            return unsafe { self.observe(parker) };
        };
        self.waiter.set_up(parker, index, self.slot.as_ptr());
        // SAFETY: the caller holds the lock, and this reference ends with the function.
        let state = unsafe { core.state() };
        // SAFETY: the waiter is set up and in no queue. The engine calls `dequeue`, under the lock,
        // before the arm or the parker ends.
        unsafe { state.receivers.push(&self.waiter) };
        state.take_observers(core.capacity(), told);
        None
    }

    unsafe fn dequeue(&self) {
        match self.core() {
            // SAFETY: the caller holds the lock. `enqueue` is the only function that queues a
            // receive arm's waiter for this channel's messages, so the waiter is in this queue or
            // in none.
            Some(core) => unsafe { core.state().receivers.remove(&self.waiter) },
            // SAFETY: the caller holds the lock, if the channel has one. `enqueue` queued the
            // waiter as an observer of this channel, so the waiter is in that queue or in none.
            None => unsafe { self.stop_observing() },
        }
    }

    unsafe fn is_ready(&self) -> bool {
        // SAFETY: the caller holds the lock.
        unsafe { self.receiver.is_ready_locked() }
    }

    unsafe fn observe(&self, parker: &Parker) -> Option<Instant> {
        self.waiter.set_up(parker, 0, std::ptr::null_mut());
        // SAFETY: the caller holds the lock. The waiter is set up and in no queue, and the engine
        // calls `stop_observing` (or, for a timed arm of a select, `dequeue`) before the arm or the
        // parker ends.
        unsafe {
            self.receiver.observe_locked(&self.waiter);
            self.receiver.due_locked()
        }
    }

    unsafe fn stop_observing(&self) {
        // SAFETY: the caller holds the lock. `observe` is the only function that queues a receive
        // arm's waiter as an observer, and it does so in this channel, so the waiter is in that
        // queue or in none.
        unsafe { self.receiver.stop_observing_locked(&self.waiter) };
    }

    fn won(&self, closed: bool) {
        self.state.set(if closed {
            RecvState::Closed
        } else {
            // The sender that claimed the waiter has put its message into the slot.
            RecvState::Message(None)
        });
    }
}

/// A `send` arm. Its message is made only after the arm has been chosen.
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
    /// Returns the arm of a `select!` that sends to this channel.
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

    /// Exists for its error message only: a sender cannot receive.
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

    /// Exists for its error message only: a sender cannot receive.
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

    /// Returns the place that the arm was given. The select calls this once, for the arm that it
    /// has chosen.
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

// SAFETY: the methods that require the channel's lock use the channel's state only during the call.
// The only pointer to the arm that a channel holds is its waiter, and `dequeue` and
// `stop_observing` remove the waiter from the queue that it is in.
unsafe impl<T> Arm for SendArm<'_, T> {
    fn enter(&self) -> bool {
        !self.entered.replace(true)
    }

    fn lock(&self) -> Option<&RawSpinLock> {
        Some(self.sender.core().raw_lock())
    }

    unsafe fn poll(&self, told: &mut Claimed) -> bool {
        let core = self.sender.core();
        // SAFETY: the caller holds the lock, and this reference ends with the function.
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
            wait::note_failed_poll();
        }
        self.place.set(place);
        true
    }

    unsafe fn enqueue(&self, parker: &Parker, index: usize, told: &mut Claimed) -> Option<Instant> {
        self.waiter.set_up(parker, index, std::ptr::null_mut());
        let core = self.sender.core();
        // SAFETY: the caller holds the lock, and this reference ends with the function.
        let state = unsafe { core.state() };
        // SAFETY: the waiter is set up and in no queue. The engine calls `dequeue`, under the lock,
        // before the arm or the parker ends.
        unsafe { state.senders.push(&self.waiter) };
        state.take_observers(core.capacity(), told);
        None
    }

    unsafe fn dequeue(&self) {
        // SAFETY: the caller holds the lock. `enqueue` is the only function that queues a `send`
        // arm's waiter as a sender, and it does so in this channel, so the waiter is in this queue
        // or in none.
        unsafe { self.sender.core().state().senders.remove(&self.waiter) };
    }

    unsafe fn is_ready(&self) -> bool {
        let core = self.sender.core();
        // SAFETY: the caller holds the lock.
        unsafe { core.state() }.can_send(core.capacity())
    }

    unsafe fn observe(&self, parker: &Parker) -> Option<Instant> {
        self.waiter.set_up(parker, 0, std::ptr::null_mut());
        // SAFETY: the caller holds the lock. The waiter is set up and in no queue, and the engine
        // calls `stop_observing` (or, for a timed arm of a select, `dequeue`) before the arm or the
        // parker ends.
        unsafe {
            self.sender
                .core()
                .state()
                .enqueue_observer(Observed::Send, &self.waiter)
        };
        None
    }

    unsafe fn stop_observing(&self) {
        // SAFETY: the caller holds the lock. `observe` is the only function that queues a `send`
        // arm's waiter as an observer, and it does so in this channel, so the waiter is in that
        // queue or in none.
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

/// A chosen `send` arm's place for its message. Dropping it without sending gives the place back to
/// the channel.
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
        // SAFETY: this channel gave the arm the place, and the line above took the place out of the
        // reservation, so it is used once.
        unsafe { core.keep_promise(place, message) }.map_err(SendError)
    }
}

impl<T> Drop for Reservation<'_, T> {
    fn drop(&mut self) {
        // (`__send` leaves a place that is `Closed`, for which `break_promise` does nothing.)
        self.core
            .break_promise(mem::replace(&mut self.place, Place::Closed));
    }
}

/// Types that a `select!` can receive from. No type implements this trait: it is there for the
/// error message that it gives.
#[diagnostic::on_unimplemented(
    message = "cannot receive from a `Sender`",
    label = "this is the sending end of a channel",
    note = "use the `Receiver` to receive: `rx.recv()`, or in a select `recv(rx) -> msg` or `msg = \
            <-rx`"
)]
#[doc(hidden)]
pub trait CanReceive {}

/// Types that a `select!` can send to. No type implements this trait: it is there for the error
/// message that it gives.
#[diagnostic::on_unimplemented(
    message = "cannot send on a `Receiver`",
    label = "this is the receiving end of a channel",
    note = "use the `Sender` to send: `tx.send(value)`, or in a select `send(tx, value) -> res` or \
            `tx <- value`"
)]
#[doc(hidden)]
pub trait CanSend {}
