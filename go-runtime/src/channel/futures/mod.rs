//! Channels for async tasks: [`Receiver::recv_async`], [`Sender::send_async`], streams.
//!
//! A future waits in the same queue as goroutines and threads, in the order of arrival, and is
//! served like them: its partner hands the message over and wakes its task. It works with any
//! executor, as it uses only the waker.
//! - `operations`: sending and receiving by polls;
//! - `pending`: one queued operation, in memory of its own, which outlives a dropped future if need
//!   be;
//! - `alarm`: waiting for the moment of a timed channel.

mod alarm;
pub(crate) mod operations;
mod pending;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use self::alarm::Alarm;
use self::operations::{Reception, Sending};
use super::receiver::{Receiver, Source};
use super::sender::Sender;
use super::{RecvError, SendError};

impl<T> Receiver<T> {
    /// Returns a future that receives: [`recv`](Receiver::recv) for an async task.
    ///
    /// The future may be dropped at any time, and no message is lost (it is *cancel safe*). A
    /// message that the future was given before the drop goes back into the channel and is the next
    /// to be received, even if the channel has been closed or is full; on a rendezvous the sender
    /// has gone on by then. (If several messages come back, the last to come back is received
    /// first.) A future that is neither polled nor dropped keeps the message that it was given: no
    /// other receiver gets it.
    ///
    /// On a timed channel ([`after`](super::after), [`tick`](super::tick), a timer's or a ticker's)
    /// a goroutine is started at the moment of the message, to wake the task.
    ///
    /// # Errors
    /// If the channel is closed and empty.
    ///
    /// # Panics
    /// If the future is polled again after it has ended; on a timed channel, if no goroutine can be
    /// started.
    ///
    /// ```
    /// use futures::executor::block_on;
    /// use go_runtime::{channel::{RecvError, bounded}, go};
    ///
    /// let (tx, rx) = bounded(0);
    /// go!(tx.send("from a goroutine"));
    /// block_on(async {
    ///     assert_eq!(rx.recv_async().await, Ok("from a goroutine"));
    ///     assert_eq!(rx.recv_async().await, Err(RecvError));
    /// });
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture {
            messages: Messages::new(),
            receiver: self,
            ended: false,
        }
    }

    /// Returns a stream of the messages: [`iter`](Receiver::iter) for an async task.
    ///
    /// The stream ends when the channel is closed and empty. [`RecvStream::next`] gives one message
    /// after the other. With the feature `futures` it is a `futures_core::Stream`.
    ///
    /// ```
    /// use futures::executor::block_on;
    /// use go_runtime::channel::unbounded;
    ///
    /// let (tx, rx) = unbounded();
    /// tx.send(1).unwrap();
    /// tx.send(2).unwrap();
    /// drop(tx);
    /// block_on(async {
    ///     let mut stream = rx.stream();
    ///     assert_eq!(stream.next().await, Some(1));
    ///     assert_eq!(stream.next().await, Some(2));
    ///     assert_eq!(stream.next().await, None);
    /// });
    /// ```
    pub fn stream(&self) -> RecvStream<T> {
        self.clone().into_stream()
    }

    /// Turns the receiver into a [`stream`](Receiver::stream) of its messages.
    pub fn into_stream(self) -> RecvStream<T> {
        RecvStream {
            messages: Messages::new(),
            receiver: self,
            ended: false,
        }
    }
}

impl<T> Sender<T> {
    /// Returns a future that sends: [`send`](Sender::send) for an async task.
    ///
    /// The future may be dropped at any time. Its message is then dropped with it, unless a
    /// receiver has taken the message or the message is in the buffer.
    ///
    /// # Errors
    /// If the channel is closed; the error holds the message.
    ///
    /// # Panics
    /// If the future is polled again after it has ended.
    ///
    /// ```
    /// use futures::executor::block_on;
    /// use go_runtime::{channel::{SendError, bounded}, go};
    ///
    /// let (tx, rx) = bounded(0);
    /// let receiver = go! { rx.recv().unwrap() };
    /// block_on(async {
    ///     tx.send_async("from a task").await.unwrap();
    ///     assert_eq!(receiver.join().unwrap(), "from a task");
    ///     assert_eq!(tx.send_async("too late").await, Err(SendError("too late")));
    /// });
    /// ```
    pub fn send_async(&self, message: T) -> SendFuture<'_, T> {
        SendFuture {
            sending: Sending::new(message),
            sender: self,
        }
    }
}

/// A future that receives a message. [`Receiver::recv_async`] makes it.
#[must_use = "futures do nothing unless polled"]
pub struct RecvFuture<'a, T> {
    messages: Messages<T>,
    receiver: &'a Receiver<T>,
    ended: bool,
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        assert!(
            !this.ended,
            "a future that receives was polled after it had ended"
        );
        let message = this.messages.poll(this.receiver, context);
        this.ended = message.is_ready();
        message.map(|message| message.ok_or(RecvError))
    }
}

/// A stream of a channel's messages. [`Receiver::stream`] and [`Receiver::into_stream`] make it.
#[must_use = "streams do nothing unless polled"]
pub struct RecvStream<T> {
    /// Declared, and so dropped, before the receiver, which may be the channel's last: a message
    /// that is given back then still finds a receiver, and is dropped with the rest of the buffer.
    messages: Messages<T>,
    receiver: Receiver<T>,
    ended: bool,
}

impl<T> RecvStream<T> {
    /// Waits for the next message, or returns `None` when the channel is closed and empty. No
    /// message is lost if the future is dropped.
    ///
    /// ```
    /// let (tx, rx) = go_runtime::channel::unbounded();
    /// tx.send(1).unwrap();
    /// let mut stream = rx.into_stream();
    /// assert_eq!(futures::executor::block_on(stream.next()), Some(1));
    /// ```
    pub async fn next(&mut self) -> Option<T> {
        std::future::poll_fn(|context| self.poll_message(context)).await
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let message = self.messages.poll(&self.receiver, context);
        self.ended = matches!(message, Poll::Ready(None));
        message
    }
}

#[cfg(feature = "futures")]
impl<T> futures_core::Stream for RecvStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_message(context)
    }
}

#[cfg(feature = "futures")]
impl<T> futures_core::stream::FusedStream for RecvStream<T> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

#[cfg(feature = "futures")]
impl<T> futures_core::future::FusedFuture for RecvFuture<'_, T> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

#[cfg(feature = "futures")]
impl<T> futures_core::future::FusedFuture for SendFuture<'_, T> {
    fn is_terminated(&self) -> bool {
        self.sending.is_over()
    }
}

/// A future that sends a message. [`Sender::send_async`] makes it.
#[must_use = "futures do nothing unless polled"]
pub struct SendFuture<'a, T> {
    sending: Sending<T>,
    sender: &'a Sender<T>,
}

// No field is pinned: the wait that other threads know by its address is allocated separately.
impl<T> Unpin for SendFuture<'_, T> {}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.sending
            .poll(this.sender.core(), context)
            .map_err(SendError)
    }
}

/// The messages of one receiver, whether senders feed its channel or it is a timed one.
struct Messages<T> {
    reception: Reception<T>,
    alarm: Option<Box<Alarm>>,
}

impl<T> Messages<T> {
    fn new() -> Messages<T> {
        Messages {
            reception: Reception::new(),
            alarm: None,
        }
    }

    fn poll(&mut self, receiver: &Receiver<T>, context: &mut Context<'_>) -> Poll<Option<T>> {
        match receiver.source() {
            Source::Core(core) => self.reception.poll(core, context),
            Source::At(at) => self.poll_timed(|| at.due(), || at.try_take(), || None, context),
            Source::Tick(tick) => {
                self.poll_timed(|| tick.due(), || tick.try_take(), || None, context)
            }
            Source::Timer(timer) => self.poll_timed(
                || timer.due(),
                || timer.try_take(),
                || Some(timer.change()),
                context,
            ),
            Source::Never => Poll::Pending,
        }
    }

    fn poll_timed(
        &mut self,
        due: impl Fn() -> Option<Instant>,
        try_take: impl Fn() -> Option<T>,
        change: impl Fn() -> Option<Receiver<()>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<T>> {
        loop {
            if let Some(message) = try_take() {
                self.alarm = None;
                return Poll::Ready(Some(message));
            }
            // Another receiver may have taken the message for which the alarm was set.
            let alarm = match &mut self.alarm {
                Some(alarm) if alarm.due() == due() => alarm,
                old => {
                    // `change` is read before `due`: so this future notices a change that comes
                    // after `due` was read.
                    let change = change();
                    let due = due();
                    if due.is_none() && change.is_none() {
                        // Another receiver took the only message.
                        *old = None;
                        return Poll::Pending;
                    }
                    old.insert(Box::new(Alarm::set(due, change)))
                }
            };
            if alarm.poll(context).is_pending() {
                return Poll::Pending;
            }
            self.alarm = None;
        }
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvFuture { .. }")
    }
}

impl<T> fmt::Debug for RecvStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvStream { .. }")
    }
}

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendFuture { .. }")
    }
}
