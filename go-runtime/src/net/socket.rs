//! The methods that all sockets have in common: conversions from and to std's types, and the
//! handles, timeouts and deadlines of the sockets that read and write. And how a stream begins.

use std::io;

use socket2::{Domain, Protocol, Socket, Type};

/// Makes a socket for a stream, whose operations do not block.
pub(super) fn stream_socket(domain: Domain, protocol: Option<Protocol>) -> io::Result<Socket> {
    #[cfg(target_os = "linux")]
    return Socket::new(domain, Type::STREAM.nonblocking(), protocol);
    // (Apple's systems cannot do both at once.)
    #[cfg(not(target_os = "linux"))]
    {
        let socket = Socket::new(domain, Type::STREAM, protocol)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

/// Defines handles, timeouts and deadlines of a socket type with a field `fd: Arc<Fd<$std>>` that
/// reads and writes.
macro_rules! socket {
    ($name:ident, $std:ty) => {
        impl $name {
            /// Returns another handle to the same socket. The handles share everything, including
            /// timeouts and deadlines.
            ///
            /// # Errors
            /// None at present. The result type is that of std's method.
            pub fn try_clone(&self) -> io::Result<$name> {
                Ok($name {
                    fd: Arc::clone(&self.fd),
                })
            }

            /// Sets how long a read may wait before it fails with
            /// [`TimedOut`](io::ErrorKind::TimedOut). With `None` it waits without a limit.
            ///
            /// # Errors
            /// If the timeout is zero.
            pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                set_timeout(&self.fd, IoDirection::Read, timeout)
            }

            /// Sets how long a write may wait before it fails with
            /// [`TimedOut`](io::ErrorKind::TimedOut). With `None` it waits without a limit.
            ///
            /// # Errors
            /// If the timeout is zero.
            pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                set_timeout(&self.fd, IoDirection::Write, timeout)
            }

            /// Returns the timeout of [`set_read_timeout`](Self::set_read_timeout).
            ///
            /// # Errors
            /// None at present. The result type is that of std's method.
            pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(self.fd.limits(IoDirection::Read).timeout())
            }

            /// Returns the timeout of [`set_write_timeout`](Self::set_write_timeout).
            ///
            /// # Errors
            /// None at present. The result type is that of std's method.
            pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(self.fd.limits(IoDirection::Write).timeout())
            }

            /// Sets the moment after which reads and writes fail with
            /// [`TimedOut`](io::ErrorKind::TimedOut), including those that are waiting already,
            /// until another deadline is set. With `None` there is no limit. Go's `SetDeadline`.
            ///
            /// # Errors
            /// None at present. The result type is that of std's setters of timeouts.
            pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.set_read_deadline(deadline)?;
                self.set_write_deadline(deadline)
            }

            /// Sets a deadline like [`set_deadline`](Self::set_deadline), for reads only.
            ///
            /// # Errors
            /// None at present. The result type is that of std's setters of timeouts.
            pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.fd.set_read_deadline(deadline)
            }

            /// Sets a deadline like [`set_deadline`](Self::set_deadline), for writes only.
            ///
            /// # Errors
            /// None at present. The result type is that of std's setters of timeouts.
            pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.fd.set_write_deadline(deadline)
            }

            /// Sets whether operations that would have to wait fail with
            /// [`WouldBlock`](io::ErrorKind::WouldBlock), for all handles. For the system the
            /// socket is always non-blocking.
            ///
            /// # Errors
            /// None at present. The result type is that of std's method.
            pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                self.fd.set_never_waits(nonblocking);
                Ok(())
            }

            /// Returns and clears the pending error of the socket.
            ///
            /// # Errors
            /// The system's errors.
            pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.fd.get_ref().take_error()
            }

            /// Returns the socket with a done channel that ends its operations.
            pub fn with_done<'a, D>(&'a self, done: &'a Receiver<D>) -> WithDone<'a, $name, D> {
                WithDone::new(self, done)
            }

            fn from_non_blocking(io: $std) -> $name {
                $name {
                    fd: Arc::new(Fd::of_non_blocking(io)),
                }
            }
        }
    };
}
pub(super) use socket;

/// Defines the conversions of a socket type with a field `fd: Arc<Fd<$std>>`.
macro_rules! convert {
    ($name:ident, $std:ty) => {
        impl From<$std> for $name {
            /// Makes the socket non-blocking, and with it all duplicates of its descriptor. The
            /// timeouts of std's type are not taken over.
            ///
            /// # Panics
            /// If the system refuses that, which it does not for an open socket.
            fn from(io: $std) -> $name {
                match Fd::new(io) {
                    Ok(fd) => $name { fd: Arc::new(fd) },
                    Err(error) => panic!("a socket cannot be made non-blocking: {error}"),
                }
            }
        }

        impl From<$name> for $std {
            /// Makes the socket blocking again. If there is another handle to it, the result is a
            /// duplicate, and the socket stays non-blocking, because the system does not
            /// distinguish the two. Timeouts and deadlines are not taken over.
            ///
            /// # Panics
            /// If there is another handle, and the system has no descriptor for a duplicate.
            fn from(socket: $name) -> $std {
                match Arc::try_unwrap(socket.fd) {
                    Ok(fd) => {
                        let io = fd.into_inner();
                        // The call cannot fail for an open socket.
                        let _ = io.set_nonblocking(false);
                        io
                    }
                    Err(fd) => match fd.get_ref().try_clone() {
                        Ok(io) => io,
                        Err(error) => panic!("a socket cannot be duplicated: {error}"),
                    },
                }
            }
        }

        impl From<OwnedFd> for $name {
            /// Converts the descriptor like std's type.
            fn from(fd: OwnedFd) -> $name {
                <$std>::from(fd).into()
            }
        }

        impl From<$name> for OwnedFd {
            /// Converts the socket like std's type.
            fn from(socket: $name) -> OwnedFd {
                <$std>::from(socket).into()
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.fd.get_ref().as_fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.fd.get_ref().as_raw_fd()
            }
        }

        impl IntoRawFd for $name {
            /// Converts the socket as the conversion into std's type does.
            fn into_raw_fd(self) -> RawFd {
                OwnedFd::from(self).into_raw_fd()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.fd.get_ref().fmt(f)
            }
        }
    };
}
pub(super) use convert;
