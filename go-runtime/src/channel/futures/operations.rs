//! Sending and receiving for those who poll. Both can be dropped at any point, and lose nothing.
//!
//! A waker is others' code, and so is not cloned under the channel's lock: what waits is made
//! before the look that decides whether to wait.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::pending::{Ended, Pending, Side, Spare};
use crate::channel::core::{Core, Patience, Sent};
use crate::channel::state::Found;

/// A receive, or one after the other.
pub(crate) struct Reception<T> {
    pending: Option<Pending<T>>,
}

impl<T> Reception<T> {
    pub(crate) fn new() -> Reception<T> {
        Reception { pending: None }
    }

    /// The next message; `None`: the channel is closed and empty. Always for the same channel.
    pub(crate) fn poll(
        &mut self,
        core: &Arc<Core<T>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<T>> {
        let waker = context.waker();
        let mut spare = Spare::none();
        loop {
            if let Some(pending) = self.pending.take_if(|pending| pending.poll(waker)) {
                // SAFETY: it says that it is over.
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
                        // SAFETY: the wait is new, and in no queue; the sender is a promise of this
                        // channel.
                        unsafe { pending.await_promise(sender) };
                        self.pending = Some(pending);
                    } else {
                        // Cloning the waker might panic: the sender looks again meanwhile, and so
                        // do we.
                        sender.retry();
                        spare = Spare::new(core, Side::Receive, waker);
                    }
                }
                Found::Closed => return Poll::Ready(None),
                Found::Nothing => {
                    if let Some(pending) = spare.take() {
                        // SAFETY: taken out by whoever claims it, or by `cancel`, before it goes.
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

/// The sending of one message.
pub(crate) struct Sending<T> {
    /// What has not been tried yet.
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

    /// It has been ready, and must not be polled again.
    #[cfg(feature = "futures")]
    pub(crate) fn is_over(&self) -> bool {
        self.message.is_none() && self.pending.is_none()
    }

    /// `Err`: the channel is closed. Always for the same channel.
    ///
    /// # Panics
    /// After it has been ready.
    pub(crate) fn poll(
        &mut self,
        core: &Arc<Core<T>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), T>> {
        let waker = context.waker();
        if let Some(pending) = self.pending.take_if(|pending| pending.poll(waker)) {
            // SAFETY: it says that it is over.
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
            match core.send(message, Patience::None) {
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
                // SAFETY: a new one: not queued, and empty. It is taken out by whoever claims it,
                // or by `cancel`, before it goes.
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
