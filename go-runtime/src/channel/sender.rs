//! [`Sender`]: the sending end of a channel.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Core, Sent, Timeout};
use super::{SendError, SendTimeoutError, TrySendError};
use crate::clock;
use crate::wait;

/// The sending end of a channel. Clone it to send from several places. The channel is closed when
/// the last sender is dropped, or by [`close`](Sender::close).
///
/// ```
/// use go_runtime::{channel::unbounded, go};
///
/// let (tx, rx) = unbounded();
/// for i in 0..3 {
///     go!(clone(tx) { tx.send(i).unwrap() });
/// }
/// drop(tx);
/// let mut got: Vec<i32> = rx.iter().collect();
/// got.sort();
/// assert_eq!(got, [0, 1, 2]);
/// ```
pub struct Sender<T> {
    core: Arc<Core<T>>,
}

// A panic in the midst of an operation leaves a channel as usable as before: no user code runs in
// its critical sections.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Sender<T> {
    pub(super) fn new(core: Arc<Core<T>>) -> Self {
        Sender { core }
    }

    /// Makes a sender on which no send is ever possible: an arm of a `select!` that is switched
    /// off. [`never`](super::never) is its counterpart. In Go both are a nil channel.
    ///
    /// Its channel has no receiver and is not closed, so a send waits for ever (unless
    /// [`close`](Sender::close) is called on it, which has its usual effect). Make it once, outside
    /// of the loop.
    ///
    /// ```
    /// use go_runtime::{channel::{Sender, unbounded}, select};
    ///
    /// let (tx, rx) = unbounded();
    /// let off = Sender::never();
    /// for is_on in [false, true] {
    ///     select! {
    ///         send(if is_on { &tx } else { &off }, "a message") -> sent => sent.unwrap(),
    ///         default => assert!(!is_on),
    ///     }
    /// }
    /// assert_eq!(rx.len(), 1);
    /// ```
    #[must_use]
    pub fn never() -> Sender<T> {
        // A new channel counts one sender and one receiver. That receiver is never made, so its
        // count never falls and the channel is not closed.
        Sender::new(Arc::new(Core::new(Some(0))))
    }

    pub(crate) fn core(&self) -> &Arc<Core<T>> {
        &self.core
    }

    #[inline(always)]
    fn send_with(&self, message: T, timeout: Timeout) -> Sent<T> {
        let sent = self.core.send(message, timeout);
        if let Sent::Full(_) | Sent::Closed(_) = sent {
            wait::note_failed_poll();
        }
        sent
    }

    /// Sends without waiting, if there is room or a receiver waits. (A goroutine that calls this in
    /// vain again and again lets other goroutines run, see [the limits](crate#limits).)
    ///
    /// # Errors
    /// If the message was not sent: the error holds the message, and says whether the channel is
    /// full or closed.
    ///
    /// ```
    /// use go_runtime::channel::{TrySendError, bounded};
    /// let (tx, rx) = bounded(1);
    /// assert_eq!(tx.try_send(1), Ok(()));
    /// assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
    /// drop(rx);
    /// assert_eq!(tx.try_send(3), Err(TrySendError::Disconnected(3)));
    /// ```
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.send_with(message, Timeout::Poll) {
            Sent::Yes => Ok(()),
            Sent::Full(message) | Sent::TimedOut(message) => Err(TrySendError::Full(message)),
            Sent::Closed(message) => Err(TrySendError::Disconnected(message)),
        }
    }

    /// Sends a message, and waits for room (on a rendezvous, for the receiver) if need be.
    ///
    /// # Errors
    /// If the channel is closed, or is closed while this waits; the error holds the message.
    ///
    /// ```
    /// use go_runtime::{channel::{SendError, bounded}, go};
    /// let (tx, rx) = bounded(0);
    /// let receiver = go! { rx.recv().unwrap() };
    /// tx.send(1).unwrap();
    /// assert_eq!(receiver.join().unwrap(), 1);
    /// assert_eq!(tx.send(2), Err(SendError(2)));
    /// ```
    // Inlined so that the context switch is inlined into the caller (see `wait::parker`).
    #[inline(always)]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        match self.send_with(message, Timeout::Forever) {
            Sent::Yes => Ok(()),
            Sent::Full(message) | Sent::TimedOut(message) | Sent::Closed(message) => {
                Err(SendError(message))
            }
        }
    }

    /// Sends a message, and waits for at most `timeout`.
    ///
    /// # Errors
    /// If the message was not sent: the error holds the message, and says whether the time is over
    /// or the channel is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::channel::{SendTimeoutError, bounded};
    /// let (tx, _rx) = bounded(0);
    /// let sent = tx.send_timeout(1, Duration::from_millis(1));
    /// assert_eq!(sent, Err(SendTimeoutError::Timeout(1)));
    /// ```
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_with_timeout(
            message,
            clock::after(timeout).map_or(Timeout::Forever, Timeout::Until),
        )
    }

    /// Sends a message, and waits until `deadline` at the latest.
    ///
    /// # Errors
    /// The errors of [`send_timeout`](Sender::send_timeout).
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_with_timeout(message, Timeout::Until(deadline))
    }

    fn send_with_timeout(&self, message: T, timeout: Timeout) -> Result<(), SendTimeoutError<T>> {
        match self.send_with(message, timeout) {
            Sent::Yes => Ok(()),
            Sent::Full(message) | Sent::TimedOut(message) => {
                Err(SendTimeoutError::Timeout(message))
            }
            Sent::Closed(message) => Err(SendTimeoutError::Disconnected(message)),
        }
    }

    /// Closes the channel for all its senders. Every waiting sender and receiver goes on, the
    /// messages in the buffer can still be received, and later sends give [`SendError`]. Closing
    /// again does nothing (in Go it panics).
    ///
    /// ```
    /// use go_runtime::channel::{RecvError, SendError, unbounded};
    /// let (tx, rx) = unbounded();
    /// let other = tx.clone();
    /// tx.send(1).unwrap();
    /// tx.close();
    /// assert_eq!(other.send(2), Err(SendError(2)));
    /// assert_eq!(rx.recv(), Ok(1));
    /// assert_eq!(rx.recv(), Err(RecvError));
    /// ```
    pub fn close(&self) {
        self.core.close();
    }

    /// Returns whether the channel is closed, so that every send fails: by
    /// [`close`](Sender::close), or because the last receiver is gone.
    ///
    /// A channel that is open may be closed a moment later.
    ///
    /// ```
    /// let (tx, rx) = go_runtime::channel::bounded::<i32>(1);
    /// assert!(!tx.is_closed());
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.lock().closed
    }

    /// Returns whether there is no message in the channel. A rendezvous is always empty, except for
    /// a message that a dropped future gave back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether there is no room in the channel. A rendezvous is always full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.core.is_full()
    }

    /// Returns the number of messages in the channel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Returns the number of messages that the channel can hold, or `None` if there is no bound.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.core.capacity()
    }

    /// Returns whether `other` sends to the same channel.
    ///
    /// ```
    /// use go_runtime::channel::unbounded;
    /// let (tx, _rx) = unbounded::<i32>();
    /// assert!(tx.same_channel(&tx.clone()));
    /// assert!(!tx.same_channel(&unbounded().0));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.core.add_sender();
        Sender::new(Arc::clone(&self.core))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.core.drop_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}
