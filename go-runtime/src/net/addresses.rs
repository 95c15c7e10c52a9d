//! Where to connect to, or to listen: names are looked up on a thread for blocking calls.

use std::io;
use std::net::ToSocketAddrs as StdToSocketAddrs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::vec;

use crate::blocking::blocking_io;

/// What stands for one address or several: std's trait of this name, for the same types. Only looking up a name waits, and parks the goroutine.
///
/// It cannot be implemented for others: turn those into one of these.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::net::{TcpListener, TcpStream, ToSocketAddrs};
///
/// # fn main() -> std::io::Result<()> {
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// # let port = listener.local_addr()?.port();
/// // `connect_timeout` takes one address, and no name.
/// for address in ("127.0.0.1", port).to_socket_addrs()? {
///     TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
/// }
/// # Ok(())
/// # }
/// ```
pub trait ToSocketAddrs: sealed::Resolve {
    /// The addresses. Looking up a name takes as long as the system lets it.
    ///
    /// # Errors
    /// As [`std::net::ToSocketAddrs::to_socket_addrs`].
    fn to_socket_addrs(&self) -> io::Result<vec::IntoIter<SocketAddr>> {
        self.resolve().map(Vec::into_iter)
    }
}

impl<T: sealed::Resolve + ?Sized> ToSocketAddrs for T {}

pub(super) fn resolve(addresses: &(impl ToSocketAddrs + ?Sized)) -> io::Result<Vec<SocketAddr>> {
    addresses.resolve()
}

/// Tries one address after the other.
pub(super) fn try_each<R>(
    addresses: &(impl ToSocketAddrs + ?Sized),
    mut attempt: impl FnMut(SocketAddr) -> io::Result<R>,
) -> io::Result<R> {
    let mut last = None;
    for address in resolve(addresses)? {
        match attempt(address) {
            Ok(result) => return Ok(result),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(none))
}

pub(super) fn none() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "there is no address to try")
}

mod sealed {
    use std::io;
    use std::net::SocketAddr;

    pub trait Resolve {
        #[doc(hidden)]
        fn resolve(&self) -> io::Result<Vec<SocketAddr>>;
    }
}

use sealed::Resolve;

macro_rules! resolve_at_once {
    ($($type:ty),*) => {$(
        impl Resolve for $type {
            fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
                Ok(StdToSocketAddrs::to_socket_addrs(self)?.collect())
            }
        }
    )*};
}

resolve_at_once!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl Resolve for [SocketAddr] {
    fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.to_vec())
    }
}

impl Resolve for str {
    fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.parse() {
            return Ok(vec![address]);
        }
        blocking_io(|| Ok(StdToSocketAddrs::to_socket_addrs(self)?.collect()))
    }
}

impl Resolve for String {
    fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().resolve()
    }
}

impl Resolve for (&str, u16) {
    fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = *self;
        if let Ok(ip) = host.parse() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        blocking_io(|| Ok(StdToSocketAddrs::to_socket_addrs(&(host, port))?.collect()))
    }
}

impl Resolve for (String, u16) {
    fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        (self.0.as_str(), self.1).resolve()
    }
}

impl<T: Resolve + ?Sized> Resolve for &T {
    fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        (**self).resolve()
    }
}
