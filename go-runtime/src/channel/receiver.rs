//! [`Receiver`]: the receiving end of channels that senders feed, and of timed ones.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Core, Received, Timeout};
use super::iter::{Iter, TryIter};
use super::timed::{self, At, Tick};
use super::timer::TimerCore;
use super::{RecvError, RecvTimeoutError, TryRecvError};
use crate::clock;
use crate::wait;

/// The receiving end of a channel. Clone it to receive in several places; each message is received
/// once.
///
/// When the last receiver is dropped, the messages in the channel are dropped too, and sends fail.
/// (If the `Drop` of a message panics, the panic goes on, and the messages behind it are leaked, as
/// in crossbeam-channel.)
///
/// ```
/// use go_runtime::{channel::bounded, go};
///
/// let (tx, rx) = bounded(0);
/// go! {
///     for word in ["hello", "world"] {
///         tx.send(word).unwrap();
///     }
/// };
/// for word in rx {
///     println!("{word}");
/// }
/// ```
pub struct Receiver<T> {
    source: Source<T>,
}

/// The origin of the messages.
pub(crate) enum Source<T> {
    Core(Arc<Core<T>>),
    At(Arc<At<T>>),
    Tick(Arc<Tick<T>>),
    Timer(Arc<TimerCore<T>>),
    Never,
}

// A panic in the midst of an operation leaves a channel as usable as before: no user code runs in
// its critical sections.
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    pub(crate) const fn new(source: Source<T>) -> Self {
        Receiver { source }
    }

    pub(crate) fn source(&self) -> &Source<T> {
        &self.source
    }

    #[inline(always)]
    fn receive(&self, timeout: Timeout) -> Received<T> {
        if !matches!(timeout, Timeout::Poll) {
            wait::before_a_wait();
        }
        let received = self.receive_from_source(timeout);
        if let Received::Empty | Received::Closed = received {
            wait::note_failed_poll();
        }
        received
    }

    #[inline(always)]
    fn receive_from_source(&self, timeout: Timeout) -> Received<T> {
        match &self.source {
            Source::Core(core) => core.receive(timeout),
            Source::At(at) => timed::receive(timeout, || at.due(), || at.try_take()),
            Source::Tick(tick) => timed::receive(timeout, || tick.due(), || tick.try_take()),
            Source::Timer(timer) => timer.receive(timeout),
            Source::Never => timed::receive(timeout, || None, || None),
        }
    }

    /// Receives without waiting: a message in the buffer, or the message of a waiting sender. (A
    /// goroutine that calls this in vain again and again lets other goroutines run, see
    /// [the limits](crate#limits).)
    ///
    /// It waits after all if the partner is a `send` arm of a `select!` on a rendezvous: once
    /// chosen, the arm evaluates its value, however long that takes.
    ///
    /// # Errors
    /// If there is no message: the error says whether the channel is empty, or closed and empty.
    ///
    /// ```
    /// use go_runtime::channel::{TryRecvError, unbounded};
    /// let (tx, rx) = unbounded();
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// tx.send(1).unwrap();
    /// drop(tx);
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.receive(Timeout::Poll) {
            Received::Message(message) => Ok(message),
            Received::Empty | Received::TimedOut => Err(TryRecvError::Empty),
            Received::Closed => Err(TryRecvError::Disconnected),
        }
    }

    /// Receives a message, and waits for one if need be.
    ///
    /// # Errors
    /// If the channel is closed and empty.
    ///
    /// ```
    /// use go_runtime::{channel::{RecvError, bounded}, go};
    /// let (tx, rx) = bounded(0);
    /// let sender = go! { tx.send(1).unwrap() };
    /// assert_eq!(rx.recv(), Ok(1));
    /// sender.join().unwrap();
    /// assert_eq!(rx.recv(), Err(RecvError));
    /// ```
    // Inlined so that the context switch is inlined into the caller (see `wait::parker`).
    #[inline(always)]
    pub fn recv(&self) -> Result<T, RecvError> {
        match self.receive(Timeout::Forever) {
            Received::Message(message) => Ok(message),
            Received::Empty | Received::TimedOut | Received::Closed => Err(RecvError),
        }
    }

    /// Receives a message, and waits for at most `timeout`.
    ///
    /// It waits longer if the partner is a `send` arm of a `select!` on a rendezvous: once chosen,
    /// the arm evaluates its value, however long that takes.
    ///
    /// # Errors
    /// If there is no message: the error says whether the time is over, or the channel is closed
    /// and empty.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::channel::{RecvTimeoutError, unbounded};
    /// let (_tx, rx) = unbounded::<i32>();
    /// let received = rx.recv_timeout(Duration::from_millis(1));
    /// assert_eq!(received, Err(RecvTimeoutError::Timeout));
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.receive_with_timeout(clock::after(timeout).map_or(Timeout::Forever, Timeout::Until))
    }

    /// Receives a message, and waits until `deadline` at the latest.
    ///
    /// # Errors
    /// The errors of [`recv_timeout`](Receiver::recv_timeout).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.receive_with_timeout(Timeout::Until(deadline))
    }

    fn receive_with_timeout(&self, timeout: Timeout) -> Result<T, RecvTimeoutError> {
        match self.receive(timeout) {
            Received::Message(message) => Ok(message),
            Received::Empty | Received::TimedOut => Err(RecvTimeoutError::Timeout),
            Received::Closed => Err(RecvTimeoutError::Disconnected),
        }
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
        match &self.source {
            Source::Core(core) => core.is_full(),
            Source::At(at) => at.is_ready(),
            Source::Tick(tick) => tick.is_ready(),
            Source::Timer(timer) => timer.is_ready(),
            Source::Never => true,
        }
    }

    /// Returns the number of messages in the channel.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Core(core) => core.len(),
            Source::At(at) => usize::from(at.is_ready()),
            Source::Tick(tick) => usize::from(tick.is_ready()),
            Source::Timer(timer) => usize::from(timer.is_ready()),
            Source::Never => 0,
        }
    }

    /// Returns the number of messages that the channel can hold, or `None` if there is no bound.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        match &self.source {
            Source::Core(core) => core.capacity(),
            Source::At(_) | Source::Tick(_) | Source::Timer(_) => Some(1),
            Source::Never => Some(0),
        }
    }

    /// Returns an iterator that waits for each message, and ends when the channel is closed and
    /// empty. Go's `range`.
    ///
    /// ```
    /// let (tx, rx) = go_runtime::channel::unbounded();
    /// tx.send(1).unwrap();
    /// tx.send(2).unwrap();
    /// drop(tx);
    /// assert_eq!(rx.iter().sum::<i32>(), 3);
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter {
            receiver: self,
            ended: false,
        }
    }

    /// Returns an iterator that receives without waiting, and ends when a receive would have to
    /// wait.
    ///
    /// ```
    /// let (tx, rx) = go_runtime::channel::unbounded();
    /// tx.send(1).unwrap();
    /// assert_eq!(rx.try_iter().count(), 1);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }

    /// Returns whether the channel is closed, so that no further message can be sent: by
    /// [`Sender::close`](super::Sender::close), or because the last sender is gone.
    ///
    /// Messages that were sent before may still be in the channel. The channels of [`never`], of
    /// [`after`](super::after) and of the other timers are never closed.
    ///
    /// [`never`]: super::never()
    ///
    /// ```
    /// let (tx, rx) = go_runtime::channel::unbounded();
    /// tx.send(1).unwrap();
    /// drop(tx);
    /// assert!(rx.is_closed());
    /// assert_eq!(rx.recv(), Ok(1));
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(&self.source, Source::Core(core) if core.lock().closed)
    }

    /// Returns whether `other` receives from the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        match (&self.source, &other.source) {
            (Source::Core(a), Source::Core(b)) => Arc::ptr_eq(a, b),
            (Source::At(a), Source::At(b)) => Arc::ptr_eq(a, b),
            (Source::Tick(a), Source::Tick(b)) => Arc::ptr_eq(a, b),
            (Source::Timer(a), Source::Timer(b)) => Arc::ptr_eq(a, b),
            (Source::Never, Source::Never) => true,
            _ => false,
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver::new(match &self.source {
            Source::Core(core) => {
                core.add_receiver();
                Source::Core(Arc::clone(core))
            }
            Source::At(at) => Source::At(Arc::clone(at)),
            Source::Tick(tick) => Source::Tick(Arc::clone(tick)),
            Source::Timer(timer) => Source::Timer(Arc::clone(timer)),
            Source::Never => Source::Never,
        })
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Source::Core(core) = &self.source {
            core.drop_receiver();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}
