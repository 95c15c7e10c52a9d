//! [`Sending`] and [`Reception`]: sending and receiving by polls. Both can be dropped at any point:
//! a message that was received goes back into the channel.
//!
//! Cloning a waker runs the executor's code, which must not run under the channel's lock. So a wait
//! is made, with its clone of the waker, before the state is examined under the lock to decide
//! whether to wait.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::pending::{Ended, Pending, Side, Spare};
use crate::channel::core::{Core, Sent, Timeout};
use crate::channel::state::Found;

/// The state of a receive, or of several receives one after the other, between polls.
pub(crate) struct Reception<T> {
    pending: Option<Pending<T>>,
}

impl<T> Reception<T> {
    pub(crate) fn new() -> Reception<T> {
        Reception { pending: None }
    }

    /// Polls for the next message; `None` means that the channel is closed and empty. `core` must
    /// be the same channel in every call.
    pub(crate) fn poll(
        &mut self,
        core: &Arc<Core<T>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<T>> {
        let waker = context.waker();
        let mut spare = Spare::none();
        loop {
            if let Some(pending) = self.pending.take_if(|pending| pending.poll(waker)) {
                // SAFETY: `pending.poll` has just returned that the wait is over.
                match unsafe { pending.finish() } {
                    Ended::Done(message) => return Poll::Ready(message),
                    Ended::Closed(_) => return Poll::Ready(None),
                    Ended::Retry => {}
                }
            }
            if self.pending.is_some() {
                return Poll::Pending;
            }
            let mut state = core.lock();
            match state.find_message(core.capacity()) {
                Found::Message(message, sender) => {
                    drop(state);
                    if let Some(sender) = sender {
                        sender.finish();
                    }
                    return Poll::Ready(Some(message));
                }
                Found::Promise(sender) => {
                    drop(state);
                    if let Some(pending) = spare.take() {
                        // SAFETY: a `Spare` has never been queued, and `find_message` found the
                        // sender's promise in this channel, for which the `Spare` was made.
                        unsafe { pending.await_promise(sender) };
                        self.pending = Some(pending);
                    } else {
                        // Making a wait clones the waker, which might panic, and the sender must
                        // not wait for ever then: the sender is told to poll again, and so does
                        // this loop.
                        sender.retry();
                        spare = Spare::new(core, Side::Receive, waker);
                    }
                }
                Found::Closed => return Poll::Ready(None),
                Found::Nothing => {
                    if let Some(pending) = spare.take() {
                        // SAFETY: the waiter is set up, and a `Spare` has never been queued. Its
                        // memory is freed only by `finish` or `cancel`, after the partner that
                        // claimed the wait, or `cancel`, has taken the waiter out of the queue.
                        unsafe { state.receivers.push(pending.waiter()) };
                        drop(state);
                        self.pending = Some(pending);
                        return Poll::Pending;
                    }
                    drop(state);
                    spare = Spare::new(core, Side::Receive, waker);
                }
            }
        }
    }
}

impl<T> Drop for Reception<T> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            pending.cancel();
        }
    }
}

/// The state of the send of one message, between polls.
pub(crate) struct Sending<T> {
    /// The message, unless it is sent or in `pending`.
    message: Option<T>,
    pending: Option<Pending<T>>,
}

impl<T> Sending<T> {
    pub(crate) fn new(message: T) -> Sending<T> {
        Sending {
            message: Some(message),
            pending: None,
        }
    }

    /// Returns whether a poll has returned `Ready`, so that there must be no further poll.
    #[cfg(feature = "futures")]
    pub(crate) fn is_over(&self) -> bool {
        self.message.is_none() && self.pending.is_none()
    }

    /// Polls for the end of the send. If the channel is closed the message comes back as the error.
    /// `core` must be the same channel in every call.
    ///
    /// # Panics
    /// If an earlier poll returned `Ready`.
    pub(crate) fn poll(
        &mut self,
        core: &Arc<Core<T>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), T>> {
        let waker = context.waker();
        if let Some(pending) = self.pending.take_if(|pending| pending.poll(waker)) {
            // SAFETY: `pending.poll` has just returned that the wait is over.
            return Poll::Ready(match unsafe { pending.finish() } {
                Ended::Closed(Some(message)) => Err(message),
                Ended::Done(_) | Ended::Closed(None) | Ended::Retry => Ok(()),
            });
        }
        if self.pending.is_some() {
            return Poll::Pending;
        }
        let mut spare = Spare::none();
        loop {
            let Some(message) = self.message.take() else {
                panic!("a future that sends was polled after it had ended");
            };
            match core.send(message, Timeout::Poll) {
                Sent::Yes => return Poll::Ready(Ok(())),
                Sent::Closed(message) => return Poll::Ready(Err(message)),
                Sent::Full(message) | Sent::TimedOut(message) => self.message = Some(message),
            }
            let Some(pending) = spare.take() else {
                spare = Spare::new(core, Side::Send, waker);
                continue;
            };
            let mut state = core.lock();
            if state.can_send(core.capacity()) {
                drop(state);
                spare = pending.into();
                continue;
            }
            if let Some(message) = self.message.take() {
                // SAFETY: a `Spare` has never been queued and holds no message, and its waiter is
                // set up. Its memory is freed only by `finish` or `cancel`, after the partner that
                // claimed the wait, or `cancel`, has taken the waiter out of the queue.
                unsafe {
                    pending.put(message);
                    state.senders.push(pending.waiter());
                }
            }
            drop(state);
            self.pending = Some(pending);
            return Poll::Pending;
        }
    }
}

impl<T> Drop for Sending<T> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            pending.cancel();
        }
    }
}
