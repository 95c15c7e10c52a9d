//! Streams and listeners in the Unix domain.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, SockRef};

use super::backoff::Backoff;
use super::done::{WithDone, is_done};
use super::drive::Left;
use super::fd::{Fd, IoDirection, set_timeout};
use super::listener::listener;
use super::socket::{convert, socket, stream_socket};
use super::stream::stream;
use crate::channel::Receiver;

/// A connection in the Unix domain: [`std::os::unix::net::UnixStream`], except that blocking parks
/// the goroutine (on a plain thread it blocks the thread).
///
/// Both the type and `&UnixStream` implement `Read` and `Write`, so several goroutines may use a
/// stream. It is closed when its last [clone](Self::try_clone) is dropped. A write that waits does
/// not notice that the peer has shut down only its reading: the system has no event for that.
///
/// ```
/// use std::io::{Read, Write};
/// use go_runtime::{go, net::{Shutdown, UnixStream}};
///
/// # fn main() -> std::io::Result<()> {
/// let (mut client, mut server) = UnixStream::pair()?;
/// let served = go! {
///     let mut text = String::new();
///     server.read_to_string(&mut text)?;
///     server.write_all(text.to_uppercase().as_bytes())
/// };
/// client.write_all(b"hello")?;
/// client.shutdown(Shutdown::Write)?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert_eq!(answer, "HELLO");
/// served.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
pub struct UnixStream {
    fd: Arc<Fd<net::UnixStream>>,
}

socket!(UnixStream, net::UnixStream);
// `of_any`, because a read ends where descriptors were sent along, even if there is more data.
// `drive_unknown`, because there is no event when the peer ends reading, after which writes fail.
stream!(UnixStream, Left::of_any, drive_unknown);
convert!(UnixStream, net::UnixStream);

impl UnixStream {
    /// Connects to the listener at `path`. While the listener's queue is full, the operation is
    /// retried without a limit, after pauses of a few milliseconds at most.
    ///
    /// # Errors
    /// The system's errors: the path may not exist, or no socket may listen there
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)).
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the path is too long for an address (108
    /// bytes on Linux, the final zero included), or contains a zero byte.
    pub fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        Self::connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Connects like [`connect`](Self::connect), to an address, which may also be an abstract one.
    ///
    /// # Errors
    /// The errors of [`connect`](Self::connect); the system's error if the address is unnamed.
    pub fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        let address = to_socket2(address)?;
        let socket = stream_socket(Domain::UNIX, None)?;
        let stream = UnixStream::from_non_blocking(socket.into());
        stream.fd.retry(IoDirection::Write, None, |io| {
            SockRef::from(io).connect(&address)
        })?;
        Ok(stream)
    }

    /// Creates two streams that are connected with each other.
    ///
    /// # Errors
    /// The system's errors.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = net::UnixStream::pair()?;
        one.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        Ok((Self::from_non_blocking(one), Self::from_non_blocking(other)))
    }

    /// Returns the address of the peer. Most clients have an unnamed one.
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
}

/// Converts std's address into the form that an unconnected socket takes.
fn to_socket2(address: &SocketAddr) -> io::Result<SockAddr> {
    if let Some(path) = address.as_pathname() {
        return SockAddr::unix(path);
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = abstract_name(address) {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        let name = [b"\0", name].concat();
        return SockAddr::unix(OsStr::from_bytes(&name));
    }
    SockAddr::unix("")
}

#[cfg(target_os = "android")]
fn abstract_name(address: &SocketAddr) -> Option<&[u8]> {
    std::os::android::net::SocketAddrExt::as_abstract_name(address)
}

#[cfg(target_os = "linux")]
fn abstract_name(address: &SocketAddr) -> Option<&[u8]> {
    std::os::linux::net::SocketAddrExt::as_abstract_name(address)
}

/// Listens for connections in the Unix domain: [`std::os::unix::net::UnixListener`], except that
/// blocking parks the goroutine (on a plain thread it blocks the thread).
///
/// Several goroutines may accept; one is woken for each connection. Binding creates the path, and
/// dropping the listener leaves it: it has to be removed before another listener can bind to it.
///
/// ```
/// use std::io::{Read, Write};
/// use go_runtime::{go, net::{UnixListener, UnixStream}};
///
/// # fn main() -> std::io::Result<()> {
/// let path = std::env::temp_dir().join(format!("a-listener-{}", std::process::id()));
/// let listener = UnixListener::bind(&path)?;
/// go! {
///     for stream in listener.incoming().flatten() {
///         go!(move || (&stream).write_all(b"welcome"));
///     }
/// };
/// let mut text = String::new();
/// UnixStream::connect(&path)?.read_to_string(&mut text)?;
/// assert_eq!(text, "welcome");
/// std::fs::remove_file(&path)?;
/// # Ok(())
/// # }
/// ```
pub struct UnixListener {
    fd: Arc<Fd<net::UnixListener>>,
}

listener!(
    UnixListener,
    net::UnixListener,
    UnixStream,
    SocketAddr,
    UnixIncoming
);
convert!(UnixListener, net::UnixListener);

impl UnixListener {
    /// Creates a socket at `path`, and listens there.
    ///
    /// # Errors
    /// The system's errors: [`AddrInUse`](io::ErrorKind::AddrInUse) if the path exists, whatever it
    /// is. [`InvalidInput`](io::ErrorKind::InvalidInput) if it is too long for an address, or
    /// contains a zero byte.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        Self::of_blocking(net::UnixListener::bind(path)?)
    }

    /// Listens like [`bind`](Self::bind), at an address, which may also be an abstract one.
    ///
    /// # Errors
    /// The errors of [`bind`](Self::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        Self::of_blocking(net::UnixListener::bind_addr(address)?)
    }

    fn of_blocking(io: net::UnixListener) -> io::Result<UnixListener> {
        Ok(UnixListener {
            fd: Arc::new(Fd::new(io)?),
        })
    }
}
