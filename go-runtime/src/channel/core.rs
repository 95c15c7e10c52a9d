//! [`Core`]: a channel that senders feed, and the operations on it.
//!
//! ```text
//!                   +--------------- lock ----------------+
//!                   |                                     |
//!   send            |  buffer: up to `capacity` messages  |   receive
//!   -------------->----> [ m1 | m2 | m3 |    |    ] ----------------->
//!                   |                                     |
//!                   |  senders:   waiter <-> waiter       |   wait while the buffer is full
//!                   |  receivers: waiter <-> waiter       |   wait while it is empty
//!                   |  observers of receive, of send      |   woken to poll again
//!                   +-----------------|-------------------+
//!                                     v
//!               a waiter points to its parker (what to wake) and its slot
//!               (the message), on the waiting operation's stack or a future's heap
//! ```
//!
//! One lock guards the [`State`]. An operation that finds a partner waiting moves the message
//! directly between itself and the partner's slot, and wakes the partner after it has released the
//! lock. No user code runs under the lock: messages are moved there, never dropped.
//!
//! An operation has three parts: a beginning, perhaps a wait, and an end. They are separate
//! functions, so that the wait, whose code is short, can be inlined into the user's code, as a
//! context switch should be (see `wait::parker`).

use std::cell::UnsafeCell;
#[cfg(target_os = "linux")]
use std::mem::offset_of;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

use super::slot::{Wait, hand_over, receive_promised};
use super::state::{Found, Place, State};
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{Claim, Claimed, Verdict, WaitReason, Why};

/// A channel that senders feed.
///
/// It is laid out so that a rendezvous writes the first cache line only. The second line is only
/// read by a rendezvous, and written by buffered messages and by observers. Changes to the number
/// of handles write the third line.
#[repr(C, align(64))]
pub(crate) struct Core<T> {
    lock: RawSpinLock,
    state: UnsafeCell<State<T>>,
    capacity: Option<usize>,
    pub(super) senders: AtomicUsize,
    pub(super) receivers: AtomicUsize,
    /// The rest of the third line. It is written, because a search for leaks would take for a
    /// pointer what is left there of earlier objects.
    unused: [usize; 6],
}

// SAFETY: `state` is used under the lock only, and the other fields are atomics and constants.
// Messages move from thread to thread, hence `T: Send`.
unsafe impl<T: Send> Send for Core<T> {}
// SAFETY: `state` is used under the lock only, by one thread at a time, and the other fields are
// atomics and constants. Messages move from thread to thread, hence `T: Send`; `T: Sync` is not
// needed, because no reference to a message is ever shared.
unsafe impl<T: Send> Sync for Core<T> {}

/// The outcome of an attempt to send. The message comes back unless it was sent.
pub(crate) enum Sent<T> {
    Yes,
    Full(T),
    Closed(T),
    TimedOut(T),
}

/// The outcome of an attempt to receive.
pub(crate) enum Received<T> {
    Message(T),
    Empty,
    Closed,
    TimedOut,
}

/// The state of an operation after its first step.
enum Step<'a, T, R> {
    Ended(R),
    /// The operation is queued: park.
    Waits(&'a Wait<T>),
}

/// How long an operation may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Timeout {
    /// Does not wait.
    Poll,
    Until(Instant),
    Forever,
}

impl Timeout {
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Timeout::Until(deadline) => Some(deadline),
            Timeout::Poll | Timeout::Forever => None,
        }
    }
}

/// Where a channel's counts of handles are, in bytes, for `debug`, which knows the channel by its
/// address only.
#[cfg(target_os = "linux")]
pub(crate) const COUNTS: [usize; 2] = [
    offset_of!(Core<()>, senders),
    offset_of!(Core<()>, receivers),
];

/// Bytes from what the pointer of an `Arc<Core<T>>` points to, the counts, to the `Core`.
#[cfg(target_os = "linux")]
pub(crate) const HEAD: usize = {
    let counts = 2 * size_of::<usize>();
    counts.next_multiple_of(align_of::<Core<()>>())
};

impl<T> Core<T> {
    /// Makes a channel with a count of one sender and one receiver. `capacity` is `None` for a
    /// channel without bound.
    pub(crate) fn new(capacity: Option<usize>) -> Core<T> {
        #[cfg(target_os = "linux")]
        const {
            let counts = [offset_of!(Core<T>, senders), offset_of!(Core<T>, receivers)];
            assert!(counts[0] == COUNTS[0] && counts[1] == COUNTS[1]);
        }
        Core {
            lock: RawSpinLock::new(),
            state: UnsafeCell::new(State::new(capacity)),
            capacity,
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            unused: [0; 6],
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> Locked<'_, T> {
        if self.capacity == Some(0) {
            self.lock.lock();
        } else {
            self.lock.lock_with_backoff();
        }
        Locked { core: self }
    }

    pub(crate) fn raw_lock(&self) -> &RawSpinLock {
        &self.lock
    }

    /// Returns access to the state for a caller that has locked by [`raw_lock`](Self::raw_lock): a
    /// select, which holds several locks, or an observer.
    ///
    /// # Safety
    /// The calling thread holds this channel's lock, and no other reference to the state is in use.
    #[expect(clippy::mut_from_ref, reason = "the lock gives the exclusive access")]
    pub(crate) unsafe fn state(&self) -> &mut State<T> {
        // SAFETY: the caller holds the lock, so no other thread uses the state, and uses no other
        // reference to it.
        unsafe { &mut *self.state.get() }
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        self.capacity
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().buffer.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        let state = self.lock();
        !state.has_room(self.capacity)
    }

    #[inline(always)]
    pub(crate) fn send(&self, message: T, timeout: Timeout) -> Sent<T> {
        let mut wait = None;
        match self.begin_send(message, timeout, &mut wait) {
            Step::Ended(sent) => sent,
            Step::Waits(wait) => {
                let verdict = wait.parker.park(timeout.deadline());
                // SAFETY: `begin_send` has queued `wait`, whose `park` has just returned `verdict`.
                // This is the only call of `end_send` for it.
                unsafe { self.end_send(wait, verdict) }
            }
        }
    }

    fn begin_send<'a>(
        &self,
        message: T,
        timeout: Timeout,
        wait: &'a mut Option<Wait<T>>,
    ) -> Step<'a, T, Sent<T>> {
        let mut state = self.lock();
        if state.closed {
            return Step::Ended(Sent::Closed(message));
        }
        if let Some(receiver) = state.receivers.take() {
            drop(state);
            // SAFETY: each waiter in this channel's `receivers` waits for a `T` with an empty slot.
            unsafe { hand_over(receiver, message) };
            return Step::Ended(Sent::Yes);
        }
        if state.has_room(self.capacity) {
            state.buffer.push_back(message);
            return Step::Ended(Sent::Yes);
        }
        if matches!(timeout, Timeout::Poll) {
            return Step::Ended(Sent::Full(message));
        }
        let wait = &*wait.insert(Wait::new(Claim::until(timeout.deadline())));
        // SAFETY: the slot is new and so empty, and its waiter is in no queue, so no other thread
        // knows its address.
        unsafe { wait.slot.put(message) };
        wait.set_up();
        wait.parker.note(Why::new(WaitReason::ChanSend, self));
        // SAFETY: the waiter is set up and in no queue. `wait` lies on the stack of `send`, which
        // returns only after the partner that claimed the wait, or `end_send` after a timeout, has
        // taken the waiter out of the queue.
        unsafe { state.senders.push(&wait.waiter) };
        Step::Waits(wait)
    }

    /// # Safety
    /// [`begin_send`](Self::begin_send) of this channel has queued `wait`, which has ended with
    /// `verdict`; called once.
    unsafe fn end_send(&self, wait: &Wait<T>, verdict: Verdict) -> Sent<T> {
        match verdict {
            // The receiver that claimed this wait moved the message out.
            Verdict::Done(_) => Sent::Yes,
            // SAFETY: the wait was ended by a close, which takes no message, so the slot still
            // holds the message. The wait is over, so only this function uses the slot.
            Verdict::Closed(_) => Sent::Closed(unsafe { wait.slot.take() }),
            Verdict::Retry | Verdict::Pending => {
                unreachable!("a sender with its message is served, closed or timed out")
            }
            Verdict::TimedOut => {
                // SAFETY: `begin_send` queued the waiter in this channel's `senders`, and in no
                // other queue.
                unsafe { self.lock().senders.remove(&wait.waiter) };
                // SAFETY: the clock claimed this wait, so no receiver did: the slot still holds the
                // message, and only this function uses the slot.
                Sent::TimedOut(unsafe { wait.slot.take() })
            }
        }
    }

    #[inline(always)]
    pub(crate) fn receive(&self, timeout: Timeout) -> Received<T> {
        let mut wait = None;
        loop {
            match self.begin_receive(timeout, &mut wait) {
                Step::Ended(received) => return received,
                Step::Waits(wait) => {
                    let verdict = wait.parker.park(timeout.deadline());
                    // SAFETY: `begin_receive` has queued `wait`, whose `park` has just returned
                    // `verdict`. This is the only call of `end_receive` for it.
                    if let Some(end) = unsafe { self.end_receive(wait, verdict) } {
                        return end;
                    }
                }
            }
        }
    }

    fn begin_receive<'a>(
        &self,
        timeout: Timeout,
        wait: &'a mut Option<Wait<T>>,
    ) -> Step<'a, T, Received<T>> {
        loop {
            let mut state = self.lock();
            match state.find_message(self.capacity) {
                Found::Message(message, sender) => {
                    drop(state);
                    if let Some(sender) = sender {
                        sender.finish();
                    }
                    return Step::Ended(Received::Message(message));
                }
                Found::Promise(sender) => {
                    drop(state);
                    // SAFETY: the sender was found in this channel, which is one of a `T`.
                    if let Some(message) = unsafe { receive_promised(sender) } {
                        return Step::Ended(Received::Message(message));
                    }
                    // The arm made no message: look for another partner or message.
                }
                Found::Closed => return Step::Ended(Received::Closed),
                Found::Nothing if matches!(timeout, Timeout::Poll) => {
                    return Step::Ended(Received::Empty);
                }
                Found::Nothing => {
                    let wait = &*wait.insert(Wait::new(Claim::until(timeout.deadline())));
                    wait.set_up();
                    wait.parker.note(Why::new(WaitReason::ChanReceive, self));
                    // SAFETY: the waiter is set up and in no queue. `wait` lies on the stack of
                    // `receive`, which goes on only after the partner that claimed the wait, or
                    // `end_receive` after a timeout, has taken the waiter out of the queue.
                    unsafe { state.receivers.push(&wait.waiter) };
                    return Step::Waits(wait);
                }
            }
        }
    }

    /// Returns the outcome of a receive after its wait, or `None` if the receive has to begin
    /// again.
    ///
    /// # Safety
    /// [`begin_receive`](Self::begin_receive) of this channel has queued `wait`, which has ended
    /// with `verdict`; called once.
    unsafe fn end_receive(&self, wait: &Wait<T>, verdict: Verdict) -> Option<Received<T>> {
        match verdict {
            // SAFETY: the sender that claimed this wait put its message into the slot before it
            // ended the wait with `Done`. The wait is over, so only this function uses the slot.
            Verdict::Done(_) => Some(Received::Message(unsafe { wait.slot.take() })),
            Verdict::Closed(_) => Some(Received::Closed),
            Verdict::Retry => None,
            Verdict::Pending => unreachable!("a wait ends with a verdict"),
            Verdict::TimedOut => {
                // SAFETY: `begin_receive` queued the waiter in this channel's `receivers`, and in
                // no other queue.
                unsafe { self.lock().receivers.remove(&wait.waiter) };
                Some(Received::TimedOut)
            }
        }
    }

    /// Keeps the promise of a chosen `send` arm: sends `message` to the place that the arm was
    /// given. Gives the message back if the channel has been closed.
    ///
    /// # Safety
    /// This channel gave the arm `place`.
    pub(crate) unsafe fn keep_promise(&self, place: Place, message: T) -> Result<(), T> {
        match place {
            Place::Closed => Err(message),
            Place::Receiver(receiver) => {
                // SAFETY: the caller says that the place is one of this channel, so its receiver
                // waits for a `T`, with an empty slot.
                unsafe { hand_over(receiver, message) };
                Ok(())
            }
            Place::Reserved => {
                let mut state = self.lock();
                state.reserved -= 1;
                if state.closed {
                    // The channel was closed after the arm was chosen.
                    return Err(message);
                }
                if let Some(receiver) = state.receivers.take() {
                    // The promised place is free again, for a `send` arm that waits behind the
                    // promise.
                    let sender = state.admit_sender(self.capacity);
                    drop(state);
                    // SAFETY: each waiter in this channel's `receivers` waits for a `T` with an
                    // empty slot.
                    unsafe { hand_over(receiver, message) };
                    if let Some(sender) = sender {
                        sender.finish();
                    }
                } else {
                    state.buffer.push_back(message);
                }
                Ok(())
            }
        }
    }

    /// Gives `place` back, which this channel gave to a chosen `send` arm. The arm made no message,
    /// because its value expression panicked, or left the select.
    pub(crate) fn break_promise(&self, place: Place) {
        match place {
            Place::Closed => {}
            Place::Receiver(receiver) => receiver.retry(),
            Place::Reserved => {
                let mut state = self.lock();
                state.reserved -= 1;
                // The free place goes to the first waiting sender.
                let sender = state.admit_sender(self.capacity);
                drop(state);
                if let Some(sender) = sender {
                    sender.finish();
                }
            }
        }
    }

    /// Takes a message back from a future that was served, but was dropped before it returned the
    /// message. The message is the next to be received, and may exceed the capacity. If there is no
    /// receiver left, the message is dropped.
    pub(crate) fn give_back(&self, message: T) {
        let mut state = self.lock();
        // (The count is read under the lock: the last receiver lowers the count before it takes the
        // lock to drop the messages in the buffer. So either this thread reads 0, or the last
        // receiver will find the message.)
        if self.receivers.load(Ordering::Acquire) == 0 {
            drop(state);
            drop(message);
        } else if let Some(receiver) = state.receivers.take() {
            drop(state);
            // SAFETY: each waiter in this channel's `receivers` waits for a `T` with an empty slot.
            unsafe { hand_over(receiver, message) };
        } else {
            state.buffer.push_front(message);
        }
    }
}

/// Access to a channel's state, whose lock is held until this is dropped.
pub(crate) struct Locked<'a, T> {
    core: &'a Core<T>,
}

impl<T> Deref for Locked<'_, T> {
    type Target = State<T>;
    #[inline]
    fn deref(&self) -> &State<T> {
        // SAFETY: the lock is held for as long as `self` lives, so no other thread uses the state.
        unsafe { &*self.core.state.get() }
    }
}

impl<T> DerefMut for Locked<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State<T> {
        // SAFETY: the lock is held for as long as `self` lives, so no other thread uses the state,
        // and `self` is borrowed exclusively, so no other reference from `deref` is in use.
        unsafe { &mut *self.core.state.get() }
    }
}

impl<T> Locked<'_, T> {
    /// Releases the lock, and wakes the observers whose operation need not wait any more.
    #[cold]
    fn unlock_and_tell(&mut self) {
        let mut observers = Claimed::new();
        let capacity = self.core.capacity;
        self.take_observers(capacity, &mut observers);
        // SAFETY: `Core::lock` has acquired the lock, which only the drop of `self` releases, once.
        // References from `deref` borrow `self`, so they have ended.
        unsafe { self.core.lock.unlock() };
        observers.retry();
    }
}

impl<T> Drop for Locked<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.observed {
            return self.unlock_and_tell();
        }
        // SAFETY: `Core::lock` has acquired the lock, and only this drop releases it. References
        // from `deref` borrow `self`, so they have ended.
        unsafe { self.core.lock.unlock() }
    }
}
