//! The operations that UDP and Unix-domain datagram sockets have in common.

/// Defines receiving, and sending to the connected peer, for a socket with a field
/// `fd: Arc<Fd<..>>`; also with a done channel.
///
/// A receive takes one datagram, by `$recv` or `$recv_from`, and does not tell whether there are
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
                    .drive(IoDirection::Read, done, |io| $recv(io, buf).map(Left::More))
            }

            fn recv_from_until(
                &self,
                buf: &mut [u8],
                done: $crate::net::done::Done<'_>,
            ) -> io::Result<(usize, $address)> {
                self.fd.drive(IoDirection::Read, done, |io| {
                    $recv_from(io, buf).map(Left::More)
                })
            }

            fn send_until(
                &self,
                buf: &[u8],
                done: $crate::net::done::Done<'_>,
            ) -> io::Result<usize> {
                self.fd
                    .drive(IoDirection::Write, done, |io| io.send(buf).map(Left::More))
            }

            /// Blocks until a datagram arrives, from any sender, and returns its length. If it is
            /// longer than `buf`, the rest of it is lost.
            ///
            /// # Errors
            /// The system's errors. [`TimedOut`](io::ErrorKind::TimedOut) after a timeout or the
            /// deadline; nothing has been received then.
            pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.recv_until(buf, None)
            }

            /// Receives like [`recv`](Self::recv), and also returns the sender's address.
            ///
            /// # Errors
            /// The errors of [`recv`](Self::recv).
            pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, $address)> {
                self.recv_from_until(buf, None)
            }

            /// Sends a datagram to the connected peer, and returns its length.
            ///
            /// # Errors
            /// The system's errors: the socket may not be connected, or the datagram may be too
            /// long. [`TimedOut`](io::ErrorKind::TimedOut) after a timeout or the deadline; nothing
            /// has been sent then.
            pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
                self.send_until(buf, None)
            }

            /// Returns the address of this socket.
            ///
            /// # Errors
            /// The system's errors.
            pub fn local_addr(&self) -> io::Result<$address> {
                self.fd.get_ref().local_addr()
            }

            /// Returns the address of the connected peer.
            ///
            /// # Errors
            /// The system's errors; [`NotConnected`](io::ErrorKind::NotConnected) if there is none.
            pub fn peer_addr(&self) -> io::Result<$address> {
                self.fd.get_ref().peer_addr()
            }
        }

        impl<D> WithDone<'_, $name, D> {
            #[doc = concat!("[`", stringify!($name), "::recv`], until `done` is ready.")]
            ///
            /// # Errors
            /// The errors of the socket, and an error if the done channel is closed; nothing has
            /// been received then.
            pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.socket.recv_until(buf, Some(self.done))
            }

            #[doc = concat!("[`", stringify!($name), "::recv_from`], until `done` is ready.")]
            ///
            /// # Errors
            /// The errors of the socket, and an error if the done channel is closed; nothing has
            /// been received then.
            pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, $address)> {
                self.socket.recv_from_until(buf, Some(self.done))
            }

            #[doc = concat!("[`", stringify!($name), "::send`], until `done` is ready.")]
            ///
            /// # Errors
            /// The errors of the socket, and an error if the done channel is closed; nothing has
            /// been sent then.
            pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
                self.socket.send_until(buf, Some(self.done))
            }
        }
    };
}
pub(super) use datagram;
