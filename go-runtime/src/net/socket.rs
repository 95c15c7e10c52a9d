//! What all sockets have in common: conversions from and to std's types; and what all have that
//! read and write: handles, timeouts, deadlines.

/// Handles, timeouts and deadlines of a socket type with a field `fd: Arc<Fd<$std>>` that reads and
/// writes.
macro_rules! socket {
    ($name:ident, $std:ty) => {
        impl $name {
            /// Another handle of the same socket. It shares everything with this one, timeouts and
            /// deadlines included.
            ///
            /// # Errors
            /// None at present. It is a `Result` as for the timeouts, which std has, too.
            pub fn try_clone(&self) -> io::Result<$name> {
                Ok($name {
                    fd: Arc::clone(&self.fd),
                })
            }

            /// How long a read may wait; then it fails with [`TimedOut`](io::ErrorKind::TimedOut).
            /// `None`: for ever.
            ///
            /// # Errors
            /// If it is zero.
            pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                set_timeout(&self.fd, Way::Read, timeout)
            }

            /// How long a write may wait; then it fails with [`TimedOut`](io::ErrorKind::TimedOut).
            /// `None`: for ever.
            ///
            /// # Errors
            /// If it is zero.
            pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                set_timeout(&self.fd, Way::Write, timeout)
            }

            /// What [`set_read_timeout`](Self::set_read_timeout) has set.
            ///
            /// # Errors
            /// None at present. It is a `Result` as for the timeouts, which std has, too.
            pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(self.fd.limits(Way::Read).timeout())
            }

            /// What [`set_write_timeout`](Self::set_write_timeout) has set.
            ///
            /// # Errors
            /// None at present. It is a `Result` as for the timeouts, which std has, too.
            pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(self.fd.limits(Way::Write).timeout())
            }

            /// After that moment reads and writes fail with [`TimedOut`](io::ErrorKind::TimedOut),
            /// also those that wait already, until another deadline is set; `None`: there is none.
            /// As Go's `SetDeadline`.
            ///
            /// # Errors
            /// None at present. It is a `Result` as for the timeouts, which std has, too.
            pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.set_read_deadline(deadline)?;
                self.set_write_deadline(deadline)
            }

            /// [`set_deadline`](Self::set_deadline) for reads.
            ///
            /// # Errors
            /// None at present. It is a `Result` as for the timeouts, which std has, too.
            pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.fd.set_read_deadline(deadline)
            }

            /// [`set_deadline`](Self::set_deadline) for writes.
            ///
            /// # Errors
            /// None at present. It is a `Result` as for the timeouts, which std has, too.
            pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.fd.set_write_deadline(deadline)
            }

            /// Whether operations that would have to wait fail with
            /// [`WouldBlock`](io::ErrorKind::WouldBlock), for all handles. To the system the socket
            /// is non-blocking always.
            ///
            /// # Errors
            /// None at present. It is a `Result` as for the timeouts, which std has, too.
            pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                self.fd.set_never_waits(nonblocking);
                Ok(())
            }

            /// The error that the socket has met since it was asked last.
            ///
            /// # Errors
            /// The system's.
            pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.fd.get_ref().take_error()
            }

            /// The socket, with a done channel that ends its operations.
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

/// Conversions of a socket type with a field `fd: Arc<Fd<$std>>`.
macro_rules! convert {
    ($name:ident, $std:ty) => {
        impl From<$std> for $name {
            /// Makes the socket non-blocking, and with it all duplicates of its descriptor.
            /// Timeouts that std's type had are not taken over.
            ///
            /// # Panics
            /// If the system refuses that, as it does for no open socket.
            fn from(io: $std) -> $name {
                match Fd::new(io) {
                    Ok(fd) => $name { fd: Arc::new(fd) },
                    Err(error) => panic!("a socket cannot be made non-blocking: {error}"),
                }
            }
        }

        impl From<$name> for $std {
            /// Makes the socket blocking again. If another handle of it is in use, it gets a
            /// duplicate, and the socket stays non-blocking, since the system does not tell the two
            /// apart. Timeouts and deadlines stay behind.
            ///
            /// # Panics
            /// If there is another handle, and the system has no descriptor for a duplicate.
            fn from(socket: $name) -> $std {
                match Arc::try_unwrap(socket.fd) {
                    Ok(fd) => {
                        let io = fd.into_inner();
                        // It cannot fail for an open socket.
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
            /// As from std's type.
            fn from(fd: OwnedFd) -> $name {
                <$std>::from(fd).into()
            }
        }

        impl From<$name> for OwnedFd {
            /// As into std's type.
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

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.fd.get_ref().fmt(f)
            }
        }
    };
}
pub(super) use convert;
