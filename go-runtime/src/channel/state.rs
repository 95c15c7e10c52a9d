//! What a channel's lock guards: the buffer, the two queues of waiters, and the observers'.
//!
//! Invariants, whenever the lock is free:
//! - receivers wait only while there is no message for them, senders only while there is no room.
//!   Both wait only where all places of a buffer are promised, and the senders are `send` arms of
//!   selects (or all are arms of one select);
//! - `buffer.len() + reserved <= capacity`: a place that was promised to a chosen `send` arm of a
//!   select is kept free until the arm has made its message (or failed to);
//! - only on a rendezvous is a receiver claimed for an arm that has yet to make its message. In a
//!   buffer the arm has a place instead, so that a receiver waits for no longer than it wants to;
//! - who observes does so because its operation would have to wait: whoever changes that tells it
//!   when the lock is given back. (Nothing else would: a waiter that is claimed elsewhere meanwhile
//!   only makes operations wait.) An operation that still would is no news, or those who watch a
//!   done channel would all be woken whenever one of them looks at it;
//! - once `closed`, nothing is added to the buffer; what is in it can still be received. Who waited
//!   is told bit by bit, and a sender that has not been told yet may still be served by a receiver,
//!   which is as if it had come before the close.
//!
//! A message that comes back from a dropped future (`Core::give_back`) is put first in the buffer
//! all the same, beyond the capacity and after a close: it has been sent before.

use std::collections::VecDeque;

use crate::wait::{Claimed, Offer, Taken, WaitQueue, Waiter};

/// An emptied buffer gives its memory back if it has grown beyond this many bytes.
const KEPT_BYTES: usize = 64 << 10;

#[repr(C)]
pub(crate) struct State<T> {
    pub(super) closed: bool,
    /// There are observers.
    pub(super) observed: bool,
    /// Places promised to `send` arms of selects. (Each such arm takes more memory than would let
    /// there be too many.)
    pub(super) reserved: u32,
    pub(crate) receivers: WaitQueue,
    pub(crate) senders: WaitQueue,
    pub(super) buffer: VecDeque<T>,
    /// Those who only want to know when a receive need not wait, and when a send need not.
    receive_observers: WaitQueue,
    send_observers: WaitQueue,
}

/// An operation that somebody observes.
#[derive(Clone, Copy)]
pub(crate) enum Observed {
    Receive,
    Send,
}

/// What a `send` arm has been given when it was chosen.
pub(crate) enum Place {
    /// A place in the buffer.
    Reserved,
    /// A receiver that waits for the message, on a rendezvous.
    Receiver(Taken),
    /// Nobody will ever receive.
    Closed,
}

/// What a receiver found at once.
pub(crate) enum Found<T> {
    /// A message, and a sender to be told (after the lock has been given back) that it has been
    /// served.
    Message(T, Option<Taken>),
    /// A sender that has been chosen on a rendezvous, and will make its message if it is shown
    /// where to put it.
    Promise(Taken),
    Closed,
    Nothing,
}

impl<T> State<T> {
    pub(super) fn new(capacity: Option<usize>) -> State<T> {
        let at_once = match size_of::<T>() {
            0 => 0,
            size => capacity.unwrap_or(0).min(KEPT_BYTES / size),
        };
        State {
            closed: false,
            observed: false,
            reserved: 0,
            receivers: WaitQueue::new(),
            senders: WaitQueue::new(),
            buffer: VecDeque::with_capacity(at_once),
            receive_observers: WaitQueue::new(),
            send_observers: WaitQueue::new(),
        }
    }

    #[inline]
    pub(super) fn has_room(&self, capacity: Option<usize>) -> bool {
        capacity.is_none_or(|capacity| self.buffer.len() + (self.reserved as usize) < capacity)
    }

    fn observers(&mut self, of: Observed) -> &mut WaitQueue {
        match of {
            Observed::Receive => &mut self.receive_observers,
            Observed::Send => &mut self.send_observers,
        }
    }

    fn is_observed(&self) -> bool {
        !self.receive_observers.is_empty() || !self.send_observers.is_empty()
    }

    /// # Safety
    /// The contract of [`WaitQueue::push`], for the queue of the observers `of` an operation.
    pub(crate) unsafe fn enqueue_observer(&mut self, of: Observed, waiter: &Waiter) {
        self.observed = true;
        // SAFETY: the caller upholds the contract of `WaitQueue::push` for this queue.
        unsafe { self.observers(of).push(waiter) }
    }

    /// # Safety
    /// If the waiter is in a queue, it was queued here, with the same `of`.
    pub(crate) unsafe fn dequeue_observer(&mut self, of: Observed, waiter: &Waiter) {
        // SAFETY: the caller says that the waiter is in this queue or in none.
        unsafe { self.observers(of).remove(waiter) }
        self.observed = self.is_observed();
    }

    /// Something has changed: adds those whose operation need not wait any more to those who are to
    /// be told so once the lock has been given back.
    #[inline]
    pub(crate) fn take_observers(&mut self, capacity: Option<usize>, told: &mut Claimed) {
        if self.observed {
            self.take_some_observers(capacity, told);
        }
    }

    #[cold]
    fn take_some_observers(&mut self, capacity: Option<usize>, told: &mut Claimed) {
        if !self.receive_observers.is_empty() && self.can_receive(capacity) {
            self.receive_observers.take_all_into(told);
        }
        if !self.send_observers.is_empty() && self.can_send(capacity) {
            self.send_observers.take_all_into(told);
        }
        self.observed = self.is_observed();
    }

    /// Whether a receive would not have to wait.
    pub(crate) fn can_receive(&self, capacity: Option<usize>) -> bool {
        let can_take = || match capacity {
            Some(0) => self.senders.has_waiting(),
            _ => self.senders.has_message(),
        };
        !self.buffer.is_empty() || self.closed || can_take()
    }

    /// Whether a send would not have to wait.
    pub(crate) fn can_send(&self, capacity: Option<usize>) -> bool {
        self.closed || self.has_room(capacity) || self.receivers.has_waiting()
    }

    /// Takes a message, if there is one.
    #[inline]
    pub(crate) fn find_message(&mut self, capacity: Option<usize>) -> Found<T> {
        if let Some(message) = self.buffer.pop_front() {
            if self.buffer.is_empty() && self.buffer.capacity() * size_of::<T>() > KEPT_BYTES {
                self.buffer = VecDeque::new();
            }
            return Found::Message(message, self.admit_sender(capacity));
        }
        let sender = if self.senders.is_empty() {
            None
        } else if capacity == Some(0) {
            self.senders.take()
        } else {
            // All places are promised: those who wait behind the promises need not wait for them.
            self.senders.take_message()
        };
        if let Some(sender) = sender {
            return match sender.offer() {
                Offer::Promise => Found::Promise(sender),
                Offer::Message => {
                    // SAFETY: the slot of a waiting sender of this channel holds a `T`, its
                    // message. The sender is taken, and so is the message, once.
                    let message = unsafe { sender.slot().cast::<T>().read() };
                    Found::Message(message, Some(sender))
                }
            };
        }
        if self.closed {
            Found::Closed
        } else {
            Found::Nothing
        }
    }

    /// There may be room: lets the first waiting sender in, who is to be told after the lock has
    /// been given back.
    pub(super) fn admit_sender(&mut self, capacity: Option<usize>) -> Option<Taken> {
        let is_full = capacity == Some(0) || !self.has_room(capacity);
        if self.senders.is_empty() || self.closed || is_full {
            return None;
        }
        let sender = self.senders.take()?;
        match sender.offer() {
            Offer::Message => {
                // SAFETY: the slot of a waiting sender of this channel holds a `T`, its message.
                // The sender is taken, and so is the message, once.
                let message = unsafe { sender.slot().cast::<T>().read() };
                self.buffer.push_back(message);
            }
            Offer::Promise => {
                self.reserved += 1;
                // A null slot stands for a place in the buffer.
                sender.set_slot(std::ptr::null_mut());
            }
        }
        Some(sender)
    }

    /// Finds out where a `send` arm could put its message. Nothing is given away for a `None`.
    pub(crate) fn find_place(&mut self, capacity: Option<usize>) -> Option<Place> {
        if self.closed {
            return Some(Place::Closed);
        }
        if capacity == Some(0) {
            return self.receivers.take().map(Place::Receiver);
        }
        if self.has_room(capacity) {
            self.reserved += 1;
            return Some(Place::Reserved);
        }
        None
    }

    /// Some of those who wait, after the close; nobody joins them any more. They are told without
    /// the lock, so a million of them do not keep others from it.
    pub(super) fn take_after_close(&mut self) -> Claimed {
        const SOME: usize = 64;
        debug_assert!(self.closed);
        let senders = self.senders.take_some(SOME);
        if senders.is_empty() {
            self.receivers.take_some(SOME)
        } else {
            senders
        }
    }
}
