//! [`SelectedOperation`]: the operation that a [`Select`](super::Select) has chosen, and how it
//! regains its type.
//!
//! A list holds the ends of channels ([`End`]) and the arms ([`Dynamic`]) without the types of
//! their messages. The caller that completes the operation passes a typed end; a comparison of
//! addresses shows that it is the end that was added.

use std::fmt;
use std::mem;
use std::thread::{self, ThreadId};

use super::arms::{RecvArm, SendArm};
use super::engine::Arm;
use crate::channel::{Receiver, RecvError, SendError, Sender};

/// An end of a channel, whatever the type of its messages.
pub(super) trait End {
    fn arm(&self) -> Box<dyn Dynamic + '_>;

    /// Returns the address of the end.
    fn address(&self) -> *const ();
}

/// An arm, whatever the type of its messages.
pub(super) trait Dynamic: Arm {
    fn as_arm(&self) -> &dyn Arm;

    /// Gives up the place or the message that the arm got when it was chosen. A place returns to
    /// the channel; a message is dropped, or leaked unless `may_drop`.
    fn abandon(self: Box<Self>, may_drop: bool);
}

impl<T> End for Sender<T> {
    fn arm(&self) -> Box<dyn Dynamic + '_> {
        Box::new(self.__a_send_arm_takes_a_Sender_of_go_runtime())
    }
    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }
}

impl<T> End for Receiver<T> {
    fn arm(&self) -> Box<dyn Dynamic + '_> {
        Box::new(self.__a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime())
    }
    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }
}

impl<T> Dynamic for SendArm<'_, T> {
    fn as_arm(&self) -> &dyn Arm {
        self
    }
    fn abandon(self: Box<Self>, _: bool) {
        drop(self.__reserve());
    }
}

impl<T> Dynamic for RecvArm<'_, T> {
    fn as_arm(&self) -> &dyn Arm {
        self
    }
    fn abandon(self: Box<Self>, may_drop: bool) {
        let message = self.__take();
        if !may_drop {
            mem::forget(message);
        }
    }
}

/// An operation that [`Select`](super::Select) has chosen, and that has to be completed: its
/// partner may be waiting for the completion.
///
/// # Panics
/// If it is dropped without having been completed (but not while its thread or goroutine unwinds).
/// A received message is dropped with it, or leaked if it is dropped on another thread than the one
/// that added the operation; a sender's place goes back to the channel.
#[must_use = "complete it with `send` or `recv`"]
pub struct SelectedOperation<'a> {
    index: usize,
    /// The address of the end that the operation was added for.
    address: *const (),
    thread: ThreadId,
    /// The chosen arm; `None` once the operation is completed.
    arm: Option<Box<dyn Dynamic + 'a>>,
}

impl<'a> SelectedOperation<'a> {
    /// Makes the operation with this index, whose arm has been chosen. `thread` added the
    /// operation, for `end`.
    pub(super) fn new(
        index: usize,
        end: &'a dyn End,
        arm: Box<dyn Dynamic + 'a>,
        thread: ThreadId,
    ) -> SelectedOperation<'a> {
        SelectedOperation {
            index,
            address: end.address(),
            thread,
            arm: Some(arm),
        }
    }

    /// Returns the index that the operation was given when it was added.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Completes a send.
    ///
    /// ```
    /// use go_runtime::channel::{Select, bounded};
    /// let (tx, rx) = bounded(1);
    /// let mut select = Select::new();
    /// select.send(&tx);
    /// select.select().send(&tx, "sent").unwrap();
    /// assert_eq!(rx.recv(), Ok("sent"));
    /// ```
    ///
    /// # Errors
    /// If the channel is closed; the message comes back.
    ///
    /// # Panics
    /// If `sender` is not the one that was added to the list.
    #[track_caller]
    pub fn send<T>(mut self, sender: &Sender<T>, message: T) -> Result<(), SendError<T>> {
        assert!(
            sender.address() == self.address,
            "passed a sender that wasn't selected: operation {} is for another end (a clone is \
             another one)",
            self.index
        );
        let arm = self.take();
        // SAFETY: the arm was made from the end at this address, which stays borrowed, so `sender`
        // is that end, and the arm is a `SendArm` of the sender's type. (A `Sender` is invariant in
        // `T`.)
        let arm = unsafe { Box::from_raw(Box::into_raw(arm).cast::<SendArm<'_, T>>()) };
        arm.__reserve().__send(message)
    }

    /// Completes a receive; see [`Select`](super::Select) for an example.
    ///
    /// # Errors
    /// If the channel is closed and empty.
    ///
    /// # Panics
    /// If `receiver` is not the one that was added to the list.
    #[track_caller]
    pub fn recv<T>(mut self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        assert!(
            receiver.address() == self.address,
            "passed a receiver that wasn't selected: operation {} is for another end (a clone is \
             another one)",
            self.index
        );
        let arm = self.take();
        // SAFETY: the arm was made from the end at this address, which stays borrowed, so
        // `receiver` is that end, and the arm is a `RecvArm` of the receiver's type. (A `Receiver`
        // is invariant in `T`.)
        let arm = unsafe { Box::from_raw(Box::into_raw(arm).cast::<RecvArm<'_, T>>()) };
        arm.__take()
    }

    fn take(&mut self) -> Box<dyn Dynamic + '_> {
        match self.arm.take() {
            Some(arm) => arm,
            None => unreachable!("it is completed once"),
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        let Some(arm) = mem::take(&mut self.arm) else {
            return;
        };
        // Gives the message or the place back, because the partner must not wait for ever.
        arm.abandon(self.thread == thread::current().id());
        if !thread::panicking() {
            panic!(
                "dropped `SelectedOperation` without completing the operation {}",
                self.index
            );
        }
    }
}
