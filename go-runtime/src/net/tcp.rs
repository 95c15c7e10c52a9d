//! TCP streams and listeners.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef};

use super::addresses::{self, ToSocketAddrs};
use super::backoff::Backoff;
use super::done::{Done, WithDone, is_done};
use super::drive::Left;
use super::fd::{Fd, IoDirection, set_timeout};
use super::listener::listener;
use super::socket::{convert, socket, stream_socket};
use super::stream::stream;
use crate::channel::Receiver;
use crate::clock;

/// A TCP connection: [`std::net::TcpStream`], except that blocking parks the goroutine (on a plain
/// thread it blocks the thread).
///
/// Both the type and `&TcpStream` implement `Read` and `Write`, so several goroutines may use a
/// stream. It is closed when its last [clone](Self::try_clone) is dropped.
///
/// ```
/// use std::io::{Read, Write};
/// use go_runtime::{go, net::{TcpListener, TcpStream}};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// go! {
///     for stream in listener.incoming().flatten() {
///         go!({ std::io::copy(&mut &stream, &mut &stream) });
///     }
/// };
/// let mut stream = TcpStream::connect(address)?;
/// stream.write_all(b"echo")?;
/// let mut answer = [0; 4];
/// stream.read_exact(&mut answer)?;
/// assert_eq!(&answer, b"echo");
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    fd: Arc<Fd<net::TcpStream>>,
}

socket!(TcpStream, net::TcpStream);
stream!(TcpStream, Left::of_partial, drive);
convert!(TcpStream, net::TcpStream);

impl TcpStream {
    /// Connects to the first of the addresses that can be reached. Only the system ends a slow
    /// attempt; a [`Dialer`](super::Dialer) has a time limit and a done channel for all attempts.
    ///
    /// # Errors
    /// The error of the last address, if none can be reached.
    pub fn connect(addresses: impl ToSocketAddrs) -> io::Result<TcpStream> {
        addresses::try_each(&addresses, |address| Self::connect_to(&address, None, None))
    }

    /// Connects, and waits for at most `timeout`.
    ///
    /// # Errors
    /// The system's errors; [`TimedOut`](io::ErrorKind::TimedOut);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if `timeout` is zero.
    pub fn connect_timeout(address: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a timeout of zero: nothing can be done in no time",
            ));
        }
        Self::connect_to(address, clock::after(timeout), None)
    }

    pub(super) fn connect_to(
        address: &SocketAddr,
        deadline: Option<Instant>,
        done: Done<'_>,
    ) -> io::Result<TcpStream> {
        let domain = Domain::for_address(*address);
        let socket = stream_socket(domain, Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&(*address).into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let stream = TcpStream::from_non_blocking(socket.into());
        stream.set_write_deadline(deadline)?;
        stream.fd.drive(IoDirection::Write, done, |socket| {
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            match socket.peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                other => other.map(Left::More),
            }
        })?;
        stream.set_write_deadline(None)?;
        Ok(stream)
    }

    /// Returns the address of the peer.
    ///
    /// # Errors
    /// The system's errors.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.fd.get_ref().peer_addr()
    }

    /// Returns the address of this side.
    ///
    /// # Errors
    /// The system's errors.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.fd.get_ref().local_addr()
    }

    /// Reads data without removing it, so that it can be read again.
    ///
    /// # Errors
    /// The errors of a read.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.peek_until(buf, None)
    }

    fn peek_until(&self, buf: &mut [u8], done: Done<'_>) -> io::Result<usize> {
        self.fd
            .drive(IoDirection::Read, done, |io| io.peek(buf).map(Left::More))
    }

    /// Sets whether small writes are sent at once (`TCP_NODELAY`) or gathered while the peer has
    /// not acknowledged an earlier write.
    ///
    /// They are sent at once unless this is called with `false`, as in Go and
    /// [unlike std](super#nagles-algorithm).
    ///
    /// # Errors
    /// The system's errors.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.fd.get_ref().set_nodelay(nodelay)
    }

    /// Returns whether small writes are sent at once.
    ///
    /// # Errors
    /// The system's errors.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.fd.get_ref().nodelay()
    }

    /// Sets how many routers packets may pass (`IP_TTL`).
    ///
    /// # Errors
    /// The system's errors.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.fd.get_ref().set_ttl(ttl)
    }

    /// Returns how many routers packets may pass (`IP_TTL`).
    ///
    /// # Errors
    /// The system's errors.
    pub fn ttl(&self) -> io::Result<u32> {
        self.fd.get_ref().ttl()
    }
}

impl<D> WithDone<'_, TcpStream, D> {
    /// Reads like [`TcpStream::peek`], until the done channel is closed.
    ///
    /// # Errors
    /// The errors of a read, and an error if the done channel is closed.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.peek_until(buf, Some(self.done))
    }
}

/// Listens for TCP connections: [`std::net::TcpListener`], except that blocking parks the goroutine
/// (on a plain thread it blocks the thread).
///
/// Several goroutines may accept; one is woken for each connection. To set options that must be set
/// before the socket listens (`SO_REUSEPORT`), create one with the `socket2` crate, and convert it.
/// There is an example at [`TcpStream`].
pub struct TcpListener {
    fd: Arc<Fd<net::TcpListener>>,
}

listener!(
    TcpListener,
    net::TcpListener,
    TcpStream,
    SocketAddr,
    Incoming
);
convert!(TcpListener, net::TcpListener);

impl TcpListener {
    /// Listens at the first of the addresses that is free.
    ///
    /// # Errors
    /// The error of the last address, if none is free.
    pub fn bind(addresses: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let listener = addresses::try_each(&addresses, net::TcpListener::bind)?;
        // The listener gets the option, which accepted connections inherit.
        SockRef::from(&listener).set_tcp_nodelay(true)?;
        Ok(listener.into())
    }

    /// Sets how many routers packets may pass (`IP_TTL`).
    ///
    /// # Errors
    /// The system's errors.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.fd.get_ref().set_ttl(ttl)
    }

    /// Returns how many routers packets may pass (`IP_TTL`).
    ///
    /// # Errors
    /// The system's errors.
    pub fn ttl(&self) -> io::Result<u32> {
        self.fd.get_ref().ttl()
    }
}
