//! Datagram sockets in the Unix domain.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::datagram::datagram;
use super::done::{Done, WithDone};
use super::drive::Left;
use super::fd::{Fd, IoDirection, set_timeout};
use super::socket::{convert, socket};
use crate::channel::Receiver;

/// A socket for datagrams in the Unix domain: [`std::os::unix::net::UnixDatagram`], except that
/// blocking parks the goroutine (on a plain thread it blocks the thread).
///
/// No datagram is lost on the way: sending waits while the receiver's queue is full. Several
/// goroutines may use the socket; it is closed when its last [clone](Self::try_clone) is dropped.
/// The path that it is bound to stays, and has to be removed.
///
/// ```
/// use go_runtime::{go, net::UnixDatagram};
///
/// # fn main() -> std::io::Result<()> {
/// let (client, server) = UnixDatagram::pair()?;
/// let served = go! {
///     let mut buf = [0; 16];
///     let n = server.recv(&mut buf)?;
///     server.send(&buf[..n])
/// };
/// client.send(b"echo")?;
/// let mut buf = [0; 16];
/// let n = client.recv(&mut buf)?;
/// assert_eq!(&buf[..n], b"echo");
/// served.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
pub struct UnixDatagram {
    fd: Arc<Fd<net::UnixDatagram>>,
}

socket!(UnixDatagram, net::UnixDatagram);
datagram!(UnixDatagram, SocketAddr, recv, recv_from);
convert!(UnixDatagram, net::UnixDatagram);

impl UnixDatagram {
    /// Creates a socket at `path`, to which other sockets can send.
    ///
    /// # Errors
    /// The system's errors: [`AddrInUse`](io::ErrorKind::AddrInUse) if the path exists, whatever it
    /// is. [`InvalidInput`](io::ErrorKind::InvalidInput) if it is too long for an address, or
    /// contains a zero byte.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        Self::of_blocking(net::UnixDatagram::bind(path)?)
    }

    /// Creates a socket like [`bind`](Self::bind), at an address, which may also be an abstract
    /// one.
    ///
    /// # Errors
    /// The errors of [`bind`](Self::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        Self::of_blocking(net::UnixDatagram::bind_addr(address)?)
    }

    /// Creates a socket without an address. It can send, and it receives answers only if
    /// [`pair`](Self::pair) has connected it.
    ///
    /// # Errors
    /// The system's errors.
    pub fn unbound() -> io::Result<UnixDatagram> {
        Self::of_blocking(net::UnixDatagram::unbound()?)
    }

    /// Creates two sockets that are connected with each other.
    ///
    /// # Errors
    /// The system's errors.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((Self::of_blocking(one)?, Self::of_blocking(other)?))
    }

    fn of_blocking(io: net::UnixDatagram) -> io::Result<UnixDatagram> {
        io.set_nonblocking(true)?;
        Ok(Self::from_non_blocking(io))
    }

    /// Sets the peer: [`send`](Self::send) sends to it, and only its datagrams are received. The
    /// peer may be changed. The call does not wait.
    ///
    /// # Errors
    /// The system's errors: the path may not exist, or no socket may be bound to it
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)).
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.fd.get_ref().connect(path)
    }

    /// Sets the peer like [`connect`](Self::connect), by an address, which may also be an abstract
    /// one.
    ///
    /// # Errors
    /// The errors of [`connect`](Self::connect).
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        self.fd.get_ref().connect_addr(address)
    }

    /// Sends a datagram to the socket at `path`, and returns its length. While the queue of that
    /// socket is full, the operation is retried, after pauses of a few milliseconds at most: the
    /// system reports room only in the queue of the [connected](Self::connect) peer, to which
    /// [`send`](Self::send) sends.
    ///
    /// # Errors
    /// The system's errors: the path may not exist, or no socket may be bound to it
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)), or the datagram is too long.
    /// [`TimedOut`](io::ErrorKind::TimedOut) after a timeout or the deadline; nothing has been sent
    /// then.
    pub fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_to_until(buf, path.as_ref(), None)
    }

    /// Sends like [`send_to`](Self::send_to), to an address, which may also be an abstract one.
    ///
    /// # Errors
    /// The errors of [`send_to`](Self::send_to).
    pub fn send_to_addr(&self, buf: &[u8], address: &SocketAddr) -> io::Result<usize> {
        self.send_to_addr_until(buf, address, None)
    }

    fn send_to_until(&self, buf: &[u8], path: &Path, done: Done<'_>) -> io::Result<usize> {
        self.fd
            .retry(IoDirection::Write, done, |io| io.send_to(buf, path))
    }

    fn send_to_addr_until(
        &self,
        buf: &[u8],
        address: &SocketAddr,
        done: Done<'_>,
    ) -> io::Result<usize> {
        self.fd
            .retry(IoDirection::Write, done, |io| io.send_to_addr(buf, address))
    }

    /// Ends receiving, sending or both, for all handles. Datagrams that have arrived can still be
    /// received; afterwards a receive returns an empty datagram, without end. A receive that is
    /// blocked returns.
    ///
    /// # Errors
    /// The system's errors, for instance if the socket is not connected.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.fd.get_ref().shutdown(how)?;
        self.fd.note_shutdown(how);
        Ok(())
    }
}

fn recv(io: &net::UnixDatagram, buf: &mut [u8]) -> io::Result<usize> {
    match io.recv(buf) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && is_shut(io)? => {
            // The last datagram may have arrived after the attempt above, so there is one more
            // attempt.
            io.recv(buf).or_else(|error| at_the_end(error, 0))
        }
        other => other,
    }
}

fn recv_from(io: &net::UnixDatagram, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match io.recv_from(buf) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && is_shut(io)? => {
            let unnamed = SocketAddr::from_pathname("")?;
            io.recv_from(buf)
                .or_else(|error| at_the_end(error, (0, unnamed)))
        }
        other => other,
    }
}

fn at_the_end<R>(error: io::Error, nothing: R) -> io::Result<R> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(nothing),
        _ => Err(error),
    }
}

/// Returns whether receiving has been shut down. For a non-blocking datagram socket Linux reports
/// that a receive would block even then.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_shut(io: &net::UnixDatagram) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut fds = [PollFd::new(io, PollFlags::RDHUP)];
    poll(&mut fds, Some(&Timespec::default()))?;
    Ok(fds[0].revents().contains(PollFlags::RDHUP))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_shut(_io: &net::UnixDatagram) -> io::Result<bool> {
    Ok(false)
}

impl<D> WithDone<'_, UnixDatagram, D> {
    /// Sends like [`UnixDatagram::send_to`], until the done channel is closed.
    ///
    /// # Errors
    /// The errors of [`UnixDatagram::send_to`], and an error if the done channel is closed; nothing
    /// has been sent then.
    pub fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.socket
            .send_to_until(buf, path.as_ref(), Some(self.done))
    }

    /// Sends like [`UnixDatagram::send_to_addr`], until the done channel is closed.
    ///
    /// # Errors
    /// The errors of [`UnixDatagram::send_to_addr`], and an error if the done channel is closed;
    /// nothing has been sent then.
    pub fn send_to_addr(&self, buf: &[u8], address: &SocketAddr) -> io::Result<usize> {
        self.socket
            .send_to_addr_until(buf, address, Some(self.done))
    }
}
