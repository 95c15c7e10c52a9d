//! [`State`], which a channel's lock guards: the buffer, the two queues of waiters, and the two
//! queues of observers.
//!
//! Only a thread that holds the lock may use it. Invariants, whenever the lock is free:
//! - receivers wait only while there is no message for them, and senders only while there is no
//!   room. Receivers and senders wait at the same time only if all places of a buffer are promised
//!   and the waiting senders are `send` arms of selects, or if all of them are arms of one select;
//! - `buffer.len() + reserved <= capacity`: a place that was promised to a chosen `send` arm of a
//!   select is kept free until the arm has made its message (or failed to make one). Neither a
//!   receiver nor a sender with its message ready waits for that, so `send` arms are chosen first
//!   come, first served, but an arm that is slow to make its message may be overtaken;
//! - only on a rendezvous is a receiver claimed for a `send` arm that has yet to make its message.
//!   On a buffered channel the arm is promised a place instead, so that the receiver's timeout
//!   holds;
//! - an observer is queued because its operation would have to wait. The thread that makes the
//!   operation possible wakes the observer when it releases the lock. (No other event makes it
//!   possible: a waiter that is claimed through another channel meanwhile can only make operations
//!   wait.) An observer whose operation would still wait is not woken; otherwise all observers of a
//!   done channel would be woken whenever one of them polls it;
//! - once `closed`, no send adds to the buffer; the messages in the buffer can still be received.
//!   The waiters are woken in batches, and a sender that has not been woken yet may still be served
//!   by a receiver, which is as if it had been served before the close.
//!
//! The exception is a message that comes back from a dropped future (`Core::give_back`): since it
//! had been sent before, it is put at the front of the buffer even beyond the capacity and after a
//! close.

use std::collections::VecDeque;

use crate::wait::{Claimed, Offer, Taken, WaitQueue, Waiter};

/// Size in bytes beyond which a buffer's memory is freed when the buffer becomes empty.
const KEPT_BYTES: usize = 64 << 10;

#[repr(C)]
pub(crate) struct State<T> {
    pub(super) closed: bool,
    /// Whether there are observers.
    pub(super) observed: bool,
    /// Number of places promised to `send` arms of selects. (It cannot overflow: so many arms would
    /// not fit into memory.)
    pub(super) reserved: u32,
    pub(crate) receivers: WaitQueue,
    pub(crate) senders: WaitQueue,
    pub(super) buffer: VecDeque<T>,
    /// The observers of receiving and of sending. An observer is woken when its operation need not
    /// wait, and does not carry the operation out.
    receive_observers: WaitQueue,
    send_observers: WaitQueue,
}

/// The operation that an observer waits to become possible.
#[derive(Clone, Copy)]
pub(crate) enum Observed {
    Receive,
    Send,
}

/// The place that a `send` arm got when it was chosen.
pub(crate) enum Place {
    /// A place in the buffer.
    Reserved,
    /// A receiver that waits for the message, on a rendezvous.
    Receiver(Taken),
    /// No place: the channel is closed.
    Closed,
}

/// The result of a receiver's search for a message.
pub(crate) enum Found<T> {
    /// A message, and perhaps a served sender, whose wait the caller ends after it has released the
    /// lock.
    Message(T, Option<Taken>),
    /// A `send` arm that this receiver has chosen. It makes its message once the receiver tells it
    /// where to put the message.
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
    /// The contract of [`WaitQueue::push`], for the queue of the observers of the operation `of`.
    pub(crate) unsafe fn enqueue_observer(&mut self, of: Observed, waiter: &Waiter) {
        self.observed = true;
        // SAFETY: the caller upholds the contract of `WaitQueue::push` for this queue.
        unsafe { self.observers(of).push(waiter) }
    }

    /// # Safety
    /// If the waiter is in a queue, it was queued in this channel, with the same `of`.
    pub(crate) unsafe fn dequeue_observer(&mut self, of: Observed, waiter: &Waiter) {
        // SAFETY: the caller says that the waiter, if it is queued, was queued here with the same
        // `of`, so it is in this queue or in none.
        unsafe { self.observers(of).remove(waiter) }
        self.observed = self.is_observed();
    }

    /// Moves the observers whose operation need not wait any more into `told`, after a change of
    /// the state. The caller wakes these observers after it has released the lock.
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

    /// Returns whether a receive would not have to wait.
    pub(crate) fn can_receive(&self, capacity: Option<usize>) -> bool {
        let can_take = || match capacity {
            Some(0) => self.senders.has_waiting(),
            _ => self.senders.has_message(),
        };
        !self.buffer.is_empty() || self.closed || can_take()
    }

    /// Returns whether a send would not have to wait.
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
            // All places are promised. A sender that waits behind the promises with its message is
            // served first, so that the receiver need not wait for a promise to be kept.
            self.senders.take_message()
        };
        if let Some(sender) = sender {
            return match sender.offer() {
                Offer::Promise => Found::Promise(sender),
                Offer::Message => {
                    // SAFETY: the slot of a waiting sender of this channel holds a `T`, its
                    // message. The sender has been taken out of the queue, so no other thread takes
                    // it, and the message is moved out once.
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

    /// Admits the first waiting sender if there is room for its message. The caller ends the
    /// returned sender's wait after the lock has been released.
    pub(super) fn admit_sender(&mut self, capacity: Option<usize>) -> Option<Taken> {
        let is_full = capacity == Some(0) || !self.has_room(capacity);
        if self.senders.is_empty() || self.closed || is_full {
            return None;
        }
        let sender = self.senders.take()?;
        match sender.offer() {
            Offer::Message => {
                // SAFETY: the slot of a waiting sender of this channel holds a `T`, its message.
                // The sender has been taken out of the queue, so no other thread takes it, and the
                // message is moved out once.
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

    /// Reserves a place for the message of a `send` arm. Returns `None`, and changes nothing, if
    /// the arm would have to wait.
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

    /// Takes a batch of the waiters after a close; no waiter joins them any more. The caller wakes
    /// them without the lock, so that even a million waiters do not keep other threads from it.
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
