//! Addresses to connect to or to listen at. Names are looked up on a thread of the blocking pool.

use std::fmt;
use std::io;
use std::net::ToSocketAddrs as StdToSocketAddrs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::vec;

use crate::blocking::blocking_io;

/// A value that stands for one or several addresses: std's trait of this name, for the same types.
/// Only the look-up of a name waits, and parks the goroutine.
///
/// It cannot be implemented for other types: convert those into one of these.
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
    /// Returns the addresses. Looking up a name takes as long as the system allows.
    ///
    /// # Errors
    /// The errors of [`std::net::ToSocketAddrs::to_socket_addrs`].
    fn to_socket_addrs(&self) -> io::Result<vec::IntoIter<SocketAddr>> {
        resolve(self).map(Vec::into_iter)
    }
}

impl<T: sealed::Resolve + ?Sized> ToSocketAddrs for T {}

pub(super) fn resolve(addresses: &(impl ToSocketAddrs + ?Sized)) -> io::Result<Vec<SocketAddr>> {
    match addresses.look_up() {
        Lookup::Known(addresses) => Ok(addresses),
        Lookup::Name(name) => blocking_io(|| name.resolve()),
    }
}

/// Calls `attempt` with one address after the other, until it succeeds.
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

/// The addresses, or the name, that a value stands for.
#[derive(Debug)]
pub enum Lookup {
    Known(Vec<SocketAddr>),
    Name(Name),
}

/// A name that the system has to look up.
#[derive(Debug)]
pub struct Name {
    host: String,
    /// `None` if the port is part of `host`.
    port: Option<u16>,
}

impl Name {
    /// Looks up the name, and blocks the thread meanwhile.
    pub(super) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let found = match self.port {
            None => StdToSocketAddrs::to_socket_addrs(&self.host)?,
            Some(port) => StdToSocketAddrs::to_socket_addrs(&(self.host.as_str(), port))?,
        };
        Ok(found.collect())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

mod sealed {
    pub trait Resolve {
        #[doc(hidden)]
        fn look_up(&self) -> super::Lookup;
    }
}

use sealed::Resolve;

macro_rules! known {
    ($($type:ty),*) => {$(
        impl Resolve for $type {
            fn look_up(&self) -> Lookup {
                Lookup::Known(vec![SocketAddr::from(*self)])
            }
        }
    )*};
}

known!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl Resolve for [SocketAddr] {
    fn look_up(&self) -> Lookup {
        Lookup::Known(self.to_vec())
    }
}

impl Resolve for str {
    fn look_up(&self) -> Lookup {
        self.parse().map_or_else(
            |_| {
                Lookup::Name(Name {
                    host: self.into(),
                    port: None,
                })
            },
            |address| Lookup::Known(vec![address]),
        )
    }
}

impl Resolve for String {
    fn look_up(&self) -> Lookup {
        self.as_str().look_up()
    }
}

impl Resolve for (&str, u16) {
    fn look_up(&self) -> Lookup {
        let (host, port) = *self;
        host.parse().map_or_else(
            |_| {
                Lookup::Name(Name {
                    host: host.into(),
                    port: Some(port),
                })
            },
            |ip| Lookup::Known(vec![SocketAddr::new(ip, port)]),
        )
    }
}

impl Resolve for (String, u16) {
    fn look_up(&self) -> Lookup {
        (self.0.as_str(), self.1).look_up()
    }
}

impl<T: Resolve + ?Sized> Resolve for &T {
    fn look_up(&self) -> Lookup {
        (**self).look_up()
    }
}
