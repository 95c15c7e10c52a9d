//! Operations that end when a done channel is closed.
//!
//! An operation with a done channel waits in two queues with one parker: in the queue of its
//! direction's edges, and among the observers of the channel, which are woken when a receive need
//! not wait.

use std::error::Error;
use std::fmt;
use std::io;

use super::dialer::Failed;
use crate::channel::Receiver;
use crate::wait::Observable;

/// The done channel that may end an operation.
pub(super) type Done<'a> = Option<&'a dyn Observable>;

/// A stream, a datagram socket, a listener or an [`Fd`](super::Fd) whose operations end when a done
/// channel is closed or has a message. They then fail with an error that [`is_done`] recognizes.
/// The message is not received. If the channel is ready from the beginning, an operation fails even
/// if it need not wait.
///
/// Nothing is lost: data that was read before has been returned, and the rest can still be read. It
/// is made by `with_done` of [`TcpStream`](super::TcpStream), [`TcpListener`](super::TcpListener)
/// and the other sockets, and of [`Dialer`](super::Dialer). A stream with a done channel implements
/// [`Read`](io::Read) and [`Write`](io::Write).
///
/// A write of several parts (`write_all`) that is ended leaves the peer with some of them, and the
/// writer cannot tell how many, as with any error of a write. Write answers that have to arrive as
/// a whole to the stream itself, with a deadline. The module's documentation shows
/// [a server that stops](super#a-server-that-stops).
///
/// To end connecting and looking up names by a done channel, use a [`Dialer`](super::Dialer).
///
/// ```
/// use std::io::Read;
/// use go_runtime::{channel::bounded, go, net::{self, TcpListener, TcpStream}};
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let client = TcpStream::connect(listener.local_addr()?)?;
/// let (stop, done) = bounded::<()>(0);
/// let reader = go! {
///     let mut byte = [0];
///     client.with_done(&done).read(&mut byte)
/// };
/// drop(stop);
/// assert!(net::is_done(&reader.join().unwrap().unwrap_err()));
/// # Ok(())
/// # }
/// ```
pub struct WithDone<'a, S, D> {
    pub(super) socket: &'a S,
    pub(super) done: &'a Receiver<D>,
}

impl<'a, S, D> WithDone<'a, S, D> {
    pub(super) fn new(socket: &'a S, done: &'a Receiver<D>) -> Self {
        WithDone { socket, done }
    }
}

impl<'a, S, D> WithDone<'a, S, D> {
    /// Returns the stream, socket or listener itself, whose operations no channel ends.
    #[must_use]
    pub fn get_ref(&self) -> &'a S {
        self.socket
    }
}

impl<S, D> Clone for WithDone<'_, S, D> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S, D> Copy for WithDone<'_, S, D> {}

impl<S: fmt::Debug, D> fmt::Debug for WithDone<'_, S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WithDone").field(self.socket).finish()
    }
}

/// The error of an operation that was ended by its done channel.
#[derive(Debug)]
struct IsDone;

impl fmt::Display for IsDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ended by its done channel")
    }
}

impl Error for IsDone {}

pub(super) fn error() -> io::Error {
    io::Error::other(IsDone)
}

/// Returns whether an operation failed because its done channel was closed (see [`WithDone`]).
#[must_use]
pub fn is_done(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| {
        let dialed = inner.downcast_ref::<Failed>();
        inner.is::<IsDone>() || dialed.is_some_and(Failed::is_done)
    })
}
