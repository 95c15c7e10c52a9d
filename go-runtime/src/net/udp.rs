//! UDP sockets.

use std::fmt;
use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::addresses::{self, ToSocketAddrs};
use super::datagram::datagram;
use super::done::{Done, WithDone};
use super::drive::Left;
use super::fd::{Fd, IoDirection, set_timeout};
use super::socket::{convert, socket};
use crate::channel::Receiver;

/// A UDP socket: [`std::net::UdpSocket`], except that blocking parks the goroutine (on a plain
/// thread it blocks the thread).
///
/// Several goroutines may receive and send; each datagram is received once. The socket is closed
/// when its last [clone](Self::try_clone) is dropped.
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
    /// Creates a socket at the first of the addresses that is free.
    ///
    /// # Errors
    /// The error of the last address, if none is free.
    pub fn bind(addresses: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        let io = addresses::try_each(&addresses, net::UdpSocket::bind)?;
        io.set_nonblocking(true)?;
        Ok(Self::from_non_blocking(io))
    }

    /// Sets the peer, to the first of the addresses that the system accepts: [`send`](Self::send)
    /// sends to it, and only its datagrams are received. The peer may be changed. Nothing is sent.
    ///
    /// If the peer's machine reports that no socket receives there, the next operation fails with
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused).
    ///
    /// # Errors
    /// The error of the last address, if the system accepts none.
    pub fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<()> {
        addresses::try_each(&addresses, |address| self.fd.get_ref().connect(address))
    }

    /// Sends a datagram to the first of the addresses, and returns its length.
    ///
    /// # Errors
    /// The system's errors: the datagram may be too long.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address.
    /// [`TimedOut`](io::ErrorKind::TimedOut) after a timeout or the deadline; nothing has been sent
    /// then.
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
        self.fd.drive(IoDirection::Write, done, |io| {
            io.send_to(buf, address).map(Left::More)
        })
    }

    /// Receives like [`recv`](Self::recv), and leaves the datagram to be received again.
    ///
    /// # Errors
    /// The errors of [`recv`](Self::recv).
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.peek_until(buf, None)
    }

    fn peek_until(&self, buf: &mut [u8], done: Done<'_>) -> io::Result<usize> {
        self.fd
            .drive(IoDirection::Read, done, |io| io.peek(buf).map(Left::More))
    }

    /// Receives like [`peek`](Self::peek), and also returns the sender's address.
    ///
    /// # Errors
    /// The errors of [`peek`](Self::peek).
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.peek_from_until(buf, None)
    }

    fn peek_from_until(&self, buf: &mut [u8], done: Done<'_>) -> io::Result<(usize, SocketAddr)> {
        self.fd.drive(IoDirection::Read, done, |io| {
            io.peek_from(buf).map(Left::More)
        })
    }

    /// Sets whether the socket may send to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    /// The system's errors.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.fd.get_ref().set_broadcast(broadcast)
    }

    /// Returns whether the socket may send to broadcast addresses.
    ///
    /// # Errors
    /// The system's errors.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.fd.get_ref().broadcast()
    }

    /// Sets whether datagrams that are sent to IPv4 multicast addresses are also received on this
    /// machine (`IP_MULTICAST_LOOP`).
    ///
    /// # Errors
    /// The system's errors.
    pub fn set_multicast_loop_v4(&self, multicast_loop_v4: bool) -> io::Result<()> {
        self.fd.get_ref().set_multicast_loop_v4(multicast_loop_v4)
    }

    /// Returns the setting of [`set_multicast_loop_v4`](Self::set_multicast_loop_v4).
    ///
    /// # Errors
    /// The system's errors.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.fd.get_ref().multicast_loop_v4()
    }

    /// Sets how many routers may forward datagrams that are sent to IPv4 multicast addresses
    /// (`IP_MULTICAST_TTL`). The default is 1: they stay in the local network.
    ///
    /// # Errors
    /// The system's errors.
    pub fn set_multicast_ttl_v4(&self, multicast_ttl_v4: u32) -> io::Result<()> {
        self.fd.get_ref().set_multicast_ttl_v4(multicast_ttl_v4)
    }

    /// Returns the setting of [`set_multicast_ttl_v4`](Self::set_multicast_ttl_v4).
    ///
    /// # Errors
    /// The system's errors.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.fd.get_ref().multicast_ttl_v4()
    }

    /// Sets whether datagrams that are sent to IPv6 multicast addresses are also received on this
    /// machine (`IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    /// The system's errors.
    pub fn set_multicast_loop_v6(&self, multicast_loop_v6: bool) -> io::Result<()> {
        self.fd.get_ref().set_multicast_loop_v6(multicast_loop_v6)
    }

    /// Returns the setting of [`set_multicast_loop_v6`](Self::set_multicast_loop_v6).
    ///
    /// # Errors
    /// The system's errors.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.fd.get_ref().multicast_loop_v6()
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

    /// Starts receiving datagrams for the multicast address `group` at a network interface, given
    /// by its address. With the unspecified address the system chooses the interface.
    ///
    /// # Errors
    /// The system's errors.
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.fd.get_ref().join_multicast_v4(group, interface)
    }

    /// Undoes [`join_multicast_v4`](Self::join_multicast_v4).
    ///
    /// # Errors
    /// The system's errors.
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.fd.get_ref().leave_multicast_v4(group, interface)
    }

    /// Starts receiving datagrams for the multicast address `group` at a network interface, given
    /// by its index. With 0 the system chooses the interface.
    ///
    /// # Errors
    /// The system's errors.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.fd.get_ref().join_multicast_v6(group, interface)
    }

    /// Undoes [`join_multicast_v6`](Self::join_multicast_v6).
    ///
    /// # Errors
    /// The system's errors.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.fd.get_ref().leave_multicast_v6(group, interface)
    }
}

impl<D> WithDone<'_, UdpSocket, D> {
    /// Sends like [`UdpSocket::send_to`], until the done channel is closed.
    ///
    /// # Errors
    /// The errors of [`UdpSocket::send_to`], and an error if the done channel is closed; nothing
    /// has been sent then.
    pub fn send_to(&self, buf: &[u8], addresses: impl ToSocketAddrs) -> io::Result<usize> {
        self.socket.send_to_until(buf, &addresses, Some(self.done))
    }

    /// Receives like [`UdpSocket::peek`], until the done channel is closed.
    ///
    /// # Errors
    /// The errors of [`UdpSocket::peek`], and an error if the done channel is closed.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.peek_until(buf, Some(self.done))
    }

    /// Receives like [`UdpSocket::peek_from`], until the done channel is closed.
    ///
    /// # Errors
    /// The errors of [`UdpSocket::peek_from`], and an error if the done channel is closed.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.peek_from_until(buf, Some(self.done))
    }
}
