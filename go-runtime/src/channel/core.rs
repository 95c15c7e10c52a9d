//! A channel and the operations on it.
//!
//! One lock guards the [`State`]. Whoever finds a partner waiting hands the message over directly,
//! from slot to slot, and wakes it after it has let the lock go. Nothing that a user wrote runs
//! under the lock: messages are moved there, never dropped.
//!
//! An operation is a beginning, perhaps a wait, and an end. They are apart so that the wait, which
//! is short, can be inlined into the user's code, as a switch should be (see `wait::parker`).

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

use super::slot::{Wait, hand_over, receive_promised};
use super::state::{Found, Place, State};
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{Claim, Claimed, Verdict};

/// Laid out so that a rendezvous writes its first cache line only; the second is read, and changes
/// with buffered messages and handles.
#[repr(C, align(64))]
pub(crate) struct Core<T> {
    lock: RawSpinLock,
    state: UnsafeCell<State<T>>,
    capacity: Option<usize>,
    pub(super) senders: AtomicUsize,
    pub(super) receivers: AtomicUsize,
}

// SAFETY: `state` is used under the lock only. Messages pass through from thread to thread, hence
// `T: Send`; no reference to a message is ever shared.
unsafe impl<T: Send> Send for Core<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Core<T> {}

/// How an attempt to send has ended; the message comes back unless it is on its way.
pub(crate) enum Sent<T> {
    Yes,
    Full(T),
    Closed(T),
    TimedOut(T),
}

/// How an attempt to receive has ended.
pub(crate) enum Received<T> {
    Message(T),
    Empty,
    Closed,
    TimedOut,
}

/// How far an operation has come.
enum Step<'a, T, R> {
    Ended(R),
    /// It is queued: park.
    Waits(&'a Wait<T>),
}

/// How long an operation may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    None,
    Until(Instant),
    Forever,
}

impl Patience {
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Patience::Until(deadline) => Some(deadline),
            Patience::None | Patience::Forever => None,
        }
    }
}

impl<T> Core<T> {
    /// `capacity` is `None` for a channel without bound. One sender and one receiver are counted.
    pub(crate) fn new(capacity: Option<usize>) -> Core<T> {
        Core {
            lock: RawSpinLock::new(),
            state: UnsafeCell::new(State::new(capacity)),
            capacity,
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
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

    /// Access for those who lock by [`raw_lock`](Self::raw_lock): selects, which hold several, and
    /// observers.
    ///
    /// # Safety
    /// The calling thread holds this channel's lock, and no other reference to the state is in use.
    #[expect(clippy::mut_from_ref, reason = "the lock gives the exclusive access")]
    pub(crate) unsafe fn state(&self) -> &mut State<T> {
        // SAFETY: the lock is held.
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
    pub(crate) fn send(&self, message: T, patience: Patience) -> Sent<T> {
        let mut wait = None;
        match self.begin_send(message, patience, &mut wait) {
            Step::Ended(sent) => sent,
            Step::Waits(wait) => {
                let verdict = wait.parker.park(patience.deadline());
                // SAFETY: queued by `begin_send`, and the wait has ended.
                unsafe { self.end_send(wait, verdict) }
            }
        }
    }

    fn begin_send<'a>(
        &self,
        message: T,
        patience: Patience,
        wait: &'a mut Option<Wait<T>>,
    ) -> Step<'a, T, Sent<T>> {
        let mut state = self.lock();
        if state.closed {
            return Step::Ended(Sent::Closed(message));
        }
        if let Some(receiver) = state.receivers.take() {
            drop(state);
            // SAFETY: what waits in this channel's `receivers` waits for a `T`.
            unsafe { hand_over(receiver, message) };
            return Step::Ended(Sent::Yes);
        }
        if state.has_room(self.capacity) {
            state.buffer.push_back(message);
            return Step::Ended(Sent::Yes);
        }
        if matches!(patience, Patience::None) {
            return Step::Ended(Sent::Full(message));
        }
        let wait = &*wait.insert(Wait::new(Claim::until(patience.deadline())));
        // SAFETY: the slot is empty, and nobody else knows it yet.
        unsafe { wait.slot.put(message) };
        wait.set_up();
        // SAFETY: `send` stays until whoever claims it has taken it out, or it has done so itself.
        unsafe { state.senders.push(&wait.waiter) };
        Step::Waits(wait)
    }

    /// # Safety
    /// [`begin_send`](Self::begin_send) of this channel has queued `wait`, which has ended with
    /// `verdict`; called once.
    unsafe fn end_send(&self, wait: &Wait<T>, verdict: Verdict) -> Sent<T> {
        match verdict {
            // Whoever claimed us has moved the message out.
            Verdict::Done(_) => Sent::Yes,
            // SAFETY: nobody took the message, and nobody will: the wait is over.
            Verdict::Closed(_) => Sent::Closed(unsafe { wait.slot.take() }),
            Verdict::Retry | Verdict::Pending => {
                unreachable!("a sender with its message is served, closed or timed out")
            }
            Verdict::TimedOut => {
                // SAFETY: the waiter was queued in this channel, and in no other.
                unsafe { self.lock().senders.remove(&wait.waiter) };
                // SAFETY: the clock claimed us, so nobody else did.
                Sent::TimedOut(unsafe { wait.slot.take() })
            }
        }
    }

    #[inline(always)]
    pub(crate) fn receive(&self, patience: Patience) -> Received<T> {
        let mut wait = None;
        loop {
            match self.begin_receive(patience, &mut wait) {
                Step::Ended(received) => return received,
                Step::Waits(wait) => {
                    let verdict = wait.parker.park(patience.deadline());
                    // SAFETY: queued by `begin_receive`, and the wait has ended.
                    if let Some(end) = unsafe { self.end_receive(wait, verdict) } {
                        return end;
                    }
                }
            }
        }
    }

    fn begin_receive<'a>(
        &self,
        patience: Patience,
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
                    // SAFETY: a promise of this channel is one of a `T`.
                    if let Some(message) = unsafe { receive_promised(sender) } {
                        return Step::Ended(Received::Message(message));
                    }
                    // It was not kept: look again.
                }
                Found::Closed => return Step::Ended(Received::Closed),
                Found::Nothing if matches!(patience, Patience::None) => {
                    return Step::Ended(Received::Empty);
                }
                Found::Nothing => {
                    let wait = &*wait.insert(Wait::new(Claim::until(patience.deadline())));
                    wait.set_up();
                    // SAFETY: `receive` stays until whoever claims it has taken it out, or it has
                    // done so itself.
                    unsafe { state.receivers.push(&wait.waiter) };
                    return Step::Waits(wait);
                }
            }
        }
    }

    /// `None`: look again.
    ///
    /// # Safety
    /// [`begin_receive`](Self::begin_receive) of this channel has queued `wait`, which has ended
    /// with `verdict`; called once.
    unsafe fn end_receive(&self, wait: &Wait<T>, verdict: Verdict) -> Option<Received<T>> {
        match verdict {
            // SAFETY: whoever claimed us has put the message in before.
            Verdict::Done(_) => Some(Received::Message(unsafe { wait.slot.take() })),
            Verdict::Closed(_) => Some(Received::Closed),
            Verdict::Retry => None,
            Verdict::Pending => unreachable!("a wait ends with a verdict"),
            Verdict::TimedOut => {
                // SAFETY: the waiter was queued in this channel, and in no other.
                unsafe { self.lock().receivers.remove(&wait.waiter) };
                Some(Received::TimedOut)
            }
        }
    }

    /// Keeps (or finds that it cannot keep) the promise of a chosen `send` arm.
    ///
    /// # Safety
    /// `place` is what this channel gave the arm.
    pub(crate) unsafe fn keep_promise(&self, place: Place, message: T) -> Result<(), T> {
        match place {
            Place::Closed => Err(message),
            Place::Receiver(receiver) => {
                // SAFETY: the caller says that the place is of this channel, so its receiver waits
                // for a `T`.
                unsafe { hand_over(receiver, message) };
                Ok(())
            }
            Place::Reserved => {
                let mut state = self.lock();
                state.reserved -= 1;
                if state.closed {
                    // It was closed after the arm was chosen.
                    return Err(message);
                }
                if let Some(receiver) = state.receivers.take() {
                    // The place is free again, for an arm that waits behind the promise.
                    let sender = state.admit_sender(self.capacity);
                    drop(state);
                    // SAFETY: what waits in this channel's `receivers` waits for a `T`.
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

    /// The chosen `send` arm has made no message: its value expression has panicked, or left the
    /// select. `place` is what this channel gave the arm.
    pub(crate) fn break_promise(&self, place: Place) {
        match place {
            Place::Closed => {}
            Place::Receiver(receiver) => receiver.retry(),
            Place::Reserved => {
                let mut state = self.lock();
                state.reserved -= 1;
                // The free place goes to whoever waited for one.
                let sender = state.admit_sender(self.capacity);
                drop(state);
                if let Some(sender) = sender {
                    sender.finish();
                }
            }
        }
    }

    /// A message comes back from a receiver that was served and has gone away since: it is the next
    /// to be received, and its place is beyond the capacity if need be. With nobody left to receive
    /// it, it is dropped.
    pub(crate) fn give_back(&self, message: T) {
        let mut state = self.lock();
        // (Under the lock: the last receiver lowers the count before it comes for the lock, to drop
        // what is in the buffer.)
        if self.receivers.load(Ordering::Acquire) == 0 {
            drop(state);
            drop(message);
        } else if let Some(receiver) = state.receivers.take() {
            drop(state);
            // SAFETY: what waits in this channel's `receivers` waits for a `T`.
            unsafe { hand_over(receiver, message) };
        } else {
            state.buffer.push_front(message);
        }
    }
}

/// A channel's state, locked.
pub(crate) struct Locked<'a, T> {
    core: &'a Core<T>,
}

impl<T> Deref for Locked<'_, T> {
    type Target = State<T>;
    #[inline]
    fn deref(&self) -> &State<T> {
        // SAFETY: the lock is held for as long as `self` lives.
        unsafe { &*self.core.state.get() }
    }
}

impl<T> DerefMut for Locked<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State<T> {
        // SAFETY: as above.
        unsafe { &mut *self.core.state.get() }
    }
}

impl<T> Locked<'_, T> {
    /// Whatever has been done under the lock: those look again who observe an operation that need
    /// not wait now.
    #[cold]
    fn unlock_and_tell(&mut self) {
        let mut observers = Claimed::new();
        let capacity = self.core.capacity;
        self.take_observers(capacity, &mut observers);
        // SAFETY: locked in `Core::lock`; the references from `deref` have ended.
        unsafe { self.core.lock.unlock() };
        observers.look_again();
    }
}

impl<T> Drop for Locked<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.observed {
            return self.unlock_and_tell();
        }
        // SAFETY: as above.
        unsafe { self.core.lock.unlock() }
    }
}
