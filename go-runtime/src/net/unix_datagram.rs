//! Datagrams in the Unix domain.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::datagram::datagram;
use super::done::{Done, WithDone};
use super::drive::Left;
use super::fd::{Fd, Way, set_timeout};
use super::socket::{convert, socket};
use crate::channel::Receiver;

/// A socket for datagrams in the Unix domain: [`std::os::unix::net::UnixDatagram`], but that
/// blocking parks the goroutine (on a plain thread it blocks the thread).
///
/// No datagram is lost on the way: sending waits for the receiver, whose queue may be full. Several
/// goroutines may use it; it is closed when the last [clone](Self::try_clone) goes. The path that
/// it is bound to stays, and has to be removed.
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
    /// Makes a socket at `path`, to which others can send.
    ///
    /// # Errors
    /// The system's: [`AddrInUse`](io::ErrorKind::AddrInUse) if the path is there already, whoever
    /// has made it. [`InvalidInput`](io::ErrorKind::InvalidInput) if it is too long for an address,
    /// or has a zero byte in it.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        Self::of_blocking(net::UnixDatagram::bind(path)?)
    }

    /// [`bind`](Self::bind), to an address, which may also be an abstract one.
    ///
    /// # Errors
    /// As there.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        Self::of_blocking(net::UnixDatagram::bind_addr(address)?)
    }

    /// One without an address: it can send, and receives answers only if it is connected by
    /// [`pair`](Self::pair).
    ///
    /// # Errors
    /// The system's.
    pub fn unbound() -> io::Result<UnixDatagram> {
        Self::of_blocking(net::UnixDatagram::unbound()?)
    }

    /// Two that are connected with each other.
    ///
    /// # Errors
    /// The system's.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((Self::of_blocking(one)?, Self::of_blocking(other)?))
    }

    fn of_blocking(io: net::UnixDatagram) -> io::Result<UnixDatagram> {
        io.set_nonblocking(true)?;
        Ok(Self::from_non_blocking(io))
    }

    /// Sets the peer: [`send`](Self::send) sends to it, and only its datagrams are received. It may
    /// be set again. It does not wait.
    ///
    /// # Errors
    /// The system's: there may be no such path, or nobody has bound a socket to it
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)).
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.fd.get_ref().connect(path)
    }

    /// [`connect`](Self::connect), to an address, which may also be an abstract one.
    ///
    /// # Errors
    /// As there.
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        self.fd.get_ref().connect_addr(address)
    }

    /// Sends a datagram to the socket at `path`, and returns its length. While that one's queue is
    /// full, it is tried again, after pauses of some milliseconds at most: the system tells of room
    /// in the queue of the [connected](Self::connect) peer alone, to which [`send`](Self::send)
    /// sends.
    ///
    /// # Errors
    /// The system's: there may be no such path, or nobody has bound a socket to it
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)), or the datagram is too long.
    /// After a timeout or the deadline, [`TimedOut`](io::ErrorKind::TimedOut): it has sent nothing
    /// then.
    pub fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_to_until(buf, path.as_ref(), None)
    }

    /// [`send_to`](Self::send_to), to an address, which may also be an abstract one.
    ///
    /// # Errors
    /// As there.
    pub fn send_to_addr(&self, buf: &[u8], address: &SocketAddr) -> io::Result<usize> {
        self.send_to_addr_until(buf, address, None)
    }

    fn send_to_until(&self, buf: &[u8], path: &Path, done: Done<'_>) -> io::Result<usize> {
        self.fd.retry(Way::Write, done, |io| io.send_to(buf, path))
    }

    fn send_to_addr_until(
        &self,
        buf: &[u8],
        address: &SocketAddr,
        done: Done<'_>,
    ) -> io::Result<usize> {
        self.fd
            .retry(Way::Write, done, |io| io.send_to_addr(buf, address))
    }

    /// Ends receiving, sending or both, for all handles: what has arrived can still be received,
    /// then there are empty datagrams without end; who is blocked in receiving goes on.
    ///
    /// # Errors
    /// The system's: the socket is not connected.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.fd.get_ref().shutdown(how)?;
        self.fd.note_shutdown(how);
        Ok(())
    }
}

fn recv(io: &net::UnixDatagram, buf: &mut [u8]) -> io::Result<usize> {
    match io.recv(buf) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && is_shut(io)? => {
            // The last one may have come in between.
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

/// Whether receiving has been shut down. To a non-blocking socket for datagrams Linux says that it
/// would block even then.
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
    /// [`UnixDatagram::send_to`].
    ///
    /// # Errors
    /// As there; and if the done channel is closed: then it has sent nothing.
    pub fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.socket
            .send_to_until(buf, path.as_ref(), Some(self.done))
    }

    /// [`UnixDatagram::send_to_addr`].
    ///
    /// # Errors
    /// As there; and if the done channel is closed: then it has sent nothing.
    pub fn send_to_addr(&self, buf: &[u8], address: &SocketAddr) -> io::Result<usize> {
        self.socket
            .send_to_addr_until(buf, address, Some(self.done))
    }
}
