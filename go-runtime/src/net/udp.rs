//! UDP.

use std::fmt;
use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::addresses::{self, ToSocketAddrs};
use super::datagram::datagram;
use super::done::{Done, WithDone};
use super::drive::Left;
use super::fd::{Fd, Way, set_timeout};
use super::socket::{convert, socket};
use crate::channel::Receiver;

/// A UDP socket: [`std::net::UdpSocket`], but that blocking parks the goroutine (on a plain thread
/// it blocks the thread).
///
/// Several goroutines may receive and send; each datagram is received once. It is closed when the
/// last [clone](Self::try_clone) goes.
///
/// ```
/// use go_runtime::{go, net::UdpSocket};
///
/// # fn main() -> std::io::Result<()> {
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let address = server.local_addr()?;
/// go! {
///     let mut buf = [0; 1500];
///     while let Ok((n, from)) = server.recv_from(&mut buf) {
///         let _ = server.send_to(&buf[..n], from);
///     }
/// };
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.connect(address)?;
/// client.send(b"echo")?;
/// let mut buf = [0; 16];
/// let n = client.recv(&mut buf)?;
/// assert_eq!(&buf[..n], b"echo");
/// # Ok(())
/// # }
/// ```
pub struct UdpSocket {
    fd: Arc<Fd<net::UdpSocket>>,
}

socket!(UdpSocket, net::UdpSocket);
datagram!(
    UdpSocket,
    SocketAddr,
    net::UdpSocket::recv,
    net::UdpSocket::recv_from
);
convert!(UdpSocket, net::UdpSocket);

impl UdpSocket {
    /// Makes a socket at the first of the addresses that is free.
    ///
    /// # Errors
    /// If none is: the error of the last one.
    pub fn bind(addresses: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        let io = addresses::try_each(&addresses, net::UdpSocket::bind)?;
        io.set_nonblocking(true)?;
        Ok(Self::from_non_blocking(io))
    }

    /// Sets the peer, to the first of the addresses that the system takes: [`send`](Self::send)
    /// sends to it, and only its datagrams are received. It may be set again. Nothing is sent.
    ///
    /// If the peer's machine says that nobody receives there, the next operation fails with
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused).
    ///
    /// # Errors
    /// If it takes none: the error of the last one.
    pub fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<()> {
        addresses::try_each(&addresses, |address| self.fd.get_ref().connect(address))
    }

    /// Sends a datagram to the first of the addresses, and returns its length.
    ///
    /// # Errors
    /// The system's: the datagram may be too long. [`InvalidInput`](io::ErrorKind::InvalidInput) if
    /// there is no address. After a timeout or the deadline, [`TimedOut`](io::ErrorKind::TimedOut):
    /// it has sent nothing then.
    pub fn send_to(&self, buf: &[u8], addresses: impl ToSocketAddrs) -> io::Result<usize> {
        self.send_to_until(buf, &addresses, None)
    }

    fn send_to_until(
        &self,
        buf: &[u8],
        addresses: &impl ToSocketAddrs,
        done: Done<'_>,
    ) -> io::Result<usize> {
        let Some(&address) = addresses::resolve(addresses)?.first() else {
            return Err(addresses::none());
        };
        self.fd.drive(Way::Write, done, |io| {
            io.send_to(buf, address).map(Left::More)
        })
    }

    /// [`recv`](Self::recv), but the datagram is left to be received again.
    ///
    /// # Errors
    /// As there.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.peek_until(buf, None)
    }

    fn peek_until(&self, buf: &mut [u8], done: Done<'_>) -> io::Result<usize> {
        self.fd
            .drive(Way::Read, done, |io| io.peek(buf).map(Left::More))
    }

    /// [`peek`](Self::peek), with the sender's address.
    ///
    /// # Errors
    /// As there.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.peek_from_until(buf, None)
    }

    fn peek_from_until(&self, buf: &mut [u8], done: Done<'_>) -> io::Result<(usize, SocketAddr)> {
        self.fd
            .drive(Way::Read, done, |io| io.peek_from(buf).map(Left::More))
    }

    /// Whether it may send to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    /// The system's.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.fd.get_ref().set_broadcast(broadcast)
    }

    /// What [`set_broadcast`](Self::set_broadcast) has set.
    ///
    /// # Errors
    /// The system's.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.fd.get_ref().broadcast()
    }

    /// Whether what it sends to IPv4 multicast addresses is received on this machine too
    /// (`IP_MULTICAST_LOOP`).
    ///
    /// # Errors
    /// The system's.
    pub fn set_multicast_loop_v4(&self, multicast_loop_v4: bool) -> io::Result<()> {
        self.fd.get_ref().set_multicast_loop_v4(multicast_loop_v4)
    }

    /// What [`set_multicast_loop_v4`](Self::set_multicast_loop_v4) has set.
    ///
    /// # Errors
    /// The system's.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.fd.get_ref().multicast_loop_v4()
    }

    /// How many routers may pass on what it sends to IPv4 multicast addresses (`IP_MULTICAST_TTL`);
    /// 1 at first: it stays in the local network.
    ///
    /// # Errors
    /// The system's.
    pub fn set_multicast_ttl_v4(&self, multicast_ttl_v4: u32) -> io::Result<()> {
        self.fd.get_ref().set_multicast_ttl_v4(multicast_ttl_v4)
    }

    /// What [`set_multicast_ttl_v4`](Self::set_multicast_ttl_v4) has set.
    ///
    /// # Errors
    /// The system's.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.fd.get_ref().multicast_ttl_v4()
    }

    /// Whether what it sends to IPv6 multicast addresses is received on this machine too
    /// (`IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    /// The system's.
    pub fn set_multicast_loop_v6(&self, multicast_loop_v6: bool) -> io::Result<()> {
        self.fd.get_ref().set_multicast_loop_v6(multicast_loop_v6)
    }

    /// What [`set_multicast_loop_v6`](Self::set_multicast_loop_v6) has set.
    ///
    /// # Errors
    /// The system's.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.fd.get_ref().multicast_loop_v6()
    }

    /// How many routers packets may pass (`IP_TTL`).
    ///
    /// # Errors
    /// The system's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.fd.get_ref().set_ttl(ttl)
    }

    /// What [`set_ttl`](Self::set_ttl) has set.
    ///
    /// # Errors
    /// The system's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.fd.get_ref().ttl()
    }

    /// Also receives what is sent to the multicast address `group`, at this network interface (its
    /// address; unspecified: the system chooses).
    ///
    /// # Errors
    /// The system's.
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.fd.get_ref().join_multicast_v4(group, interface)
    }

    /// Undoes [`join_multicast_v4`](Self::join_multicast_v4).
    ///
    /// # Errors
    /// The system's.
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.fd.get_ref().leave_multicast_v4(group, interface)
    }

    /// Also receives what is sent to the multicast address `group`, at this network interface (its
    /// index; 0: the system chooses).
    ///
    /// # Errors
    /// The system's.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.fd.get_ref().join_multicast_v6(group, interface)
    }

    /// Undoes [`join_multicast_v6`](Self::join_multicast_v6).
    ///
    /// # Errors
    /// The system's.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.fd.get_ref().leave_multicast_v6(group, interface)
    }
}

impl<D> WithDone<'_, UdpSocket, D> {
    /// [`UdpSocket::send_to`].
    ///
    /// # Errors
    /// As there; and if the done channel is closed: then it has sent nothing.
    pub fn send_to(&self, buf: &[u8], addresses: impl ToSocketAddrs) -> io::Result<usize> {
        self.socket.send_to_until(buf, &addresses, Some(self.done))
    }

    /// [`UdpSocket::peek`].
    ///
    /// # Errors
    /// As there; and if the done channel is closed.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.peek_until(buf, Some(self.done))
    }

    /// [`UdpSocket::peek_from`].
    ///
    /// # Errors
    /// As there; and if the done channel is closed.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.peek_from_until(buf, Some(self.done))
    }
}
