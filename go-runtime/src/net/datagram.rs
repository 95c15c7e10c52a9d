//! What the datagram sockets have in common, over UDP and in the Unix domain.

/// Receiving, and sending to the connected peer, of a socket with a field `fd: Arc<Fd<..>>`; also
/// with a done channel.
///
/// A receive takes one datagram, by `$recv` or `$recv_from`: that says nothing of whether there are
/// more.
macro_rules! datagram {
    ($name:ident, $address:ty, $recv:expr, $recv_from:expr) => {
        impl $name {
            fn recv_until(
                &self,
                buf: &mut [u8],
                done: $crate::net::done::Done<'_>,
            ) -> io::Result<usize> {
                self.fd
                    .drive(Way::Read, done, |io| $recv(io, buf).map(Left::More))
            }

            fn recv_from_until(
                &self,
                buf: &mut [u8],
                done: $crate::net::done::Done<'_>,
            ) -> io::Result<(usize, $address)> {
                self.fd
                    .drive(Way::Read, done, |io| $recv_from(io, buf).map(Left::More))
            }

            fn send_until(
                &self,
                buf: &[u8],
                done: $crate::net::done::Done<'_>,
            ) -> io::Result<usize> {
                self.fd
                    .drive(Way::Write, done, |io| io.send(buf).map(Left::More))
            }

            /// Waits for a datagram, from whom it may be, and returns its length. If it is longer
            /// than `buf`, the rest of it is lost.
            ///
            /// # Errors
            /// The system's; after a timeout or the deadline,
            /// [`TimedOut`](io::ErrorKind::TimedOut): it has received nothing then.
            pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.recv_until(buf, None)
            }

            /// [`recv`](Self::recv), with the sender's address.
            ///
            /// # Errors
            /// As there.
            pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, $address)> {
                self.recv_from_until(buf, None)
            }

            /// Sends a datagram to the peer that it is connected to, and returns its length.
            ///
            /// # Errors
            /// The system's: it may be connected to none, or the datagram be too long. After a
            /// timeout or the deadline, [`TimedOut`](io::ErrorKind::TimedOut): it has sent nothing
            /// then.
            pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
                self.send_until(buf, None)
            }

            /// The address of this side.
            ///
            /// # Errors
            /// The system's.
            pub fn local_addr(&self) -> io::Result<$address> {
                self.fd.get_ref().local_addr()
            }

            /// The address that it is connected to.
            ///
            /// # Errors
            /// The system's; [`NotConnected`](io::ErrorKind::NotConnected).
            pub fn peer_addr(&self) -> io::Result<$address> {
                self.fd.get_ref().peer_addr()
            }
        }

        impl<D> WithDone<'_, $name, D> {
            #[doc = concat!("[`", stringify!($name), "::recv`].")]
            ///
            /// # Errors
            /// As there; and if the done channel is closed: then it has received nothing.
            pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.socket.recv_until(buf, Some(self.done))
            }

            #[doc = concat!("[`", stringify!($name), "::recv_from`].")]
            ///
            /// # Errors
            /// As there; and if the done channel is closed: then it has received nothing.
            pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, $address)> {
                self.socket.recv_from_until(buf, Some(self.done))
            }

            #[doc = concat!("[`", stringify!($name), "::send`].")]
            ///
            /// # Errors
            /// As there; and if the done channel is closed: then it has sent nothing.
            pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
                self.socket.send_until(buf, Some(self.done))
            }
        }
    };
}
pub(super) use datagram;
