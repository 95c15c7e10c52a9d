//! What the listeners have in common, over TCP and in the Unix domain.

/// `accept` and what belongs to it, of a listener with a field `fd: Arc<Fd<$std>>`, and its
/// iterator.
macro_rules! listener {
    ($name:ident, $std:ty, $stream:ident, $address:ty, $incoming:ident) => {
        impl $name {
            /// Waits for a connection.
            ///
            /// # Errors
            /// The system's: there may be no descriptor for it (`EMFILE`; then it stays in the
            /// queue), or the other side has given up meanwhile. After the
            /// [deadline](Self::set_deadline), [`TimedOut`](io::ErrorKind::TimedOut).
            pub fn accept(&self) -> io::Result<($stream, $address)> {
                self.accept_until(None)
            }

            pub(super) fn accept_until(
                &self,
                done: $crate::net::done::Done<'_>,
            ) -> io::Result<($stream, $address)> {
                let (stream, address) = self
                    .fd
                    .drive(Way::Read, done, |io| io.accept().map(Left::More))?;
                stream.set_nonblocking(true)?;
                Ok(($stream::from_non_blocking(stream), address))
            }

            /// The connections as they come, without end.
            ///
            /// After an error for which the next connection would fail at once, such as that there
            /// are no descriptors (`EMFILE`), asking for the next one pauses first: for 5 ms, and
            /// after each such error for twice as long, up to a second, but not beyond the
            /// deadline, and not at all if the listener is [non-blocking](Self::set_nonblocking).
            pub fn incoming(&self) -> $incoming<'_> {
                $incoming {
                    listener: self,
                    backoff: Backoff::default(),
                }
            }

            /// The address that it listens at.
            ///
            /// # Errors
            /// The system's.
            pub fn local_addr(&self) -> io::Result<$address> {
                self.fd.get_ref().local_addr()
            }

            /// Another handle of the same listener; each connection is accepted once.
            ///
            /// # Errors
            /// None at present. It is a `Result` as for the timeouts, which std has, too.
            pub fn try_clone(&self) -> io::Result<$name> {
                Ok($name {
                    fd: Arc::clone(&self.fd),
                })
            }

            /// After that moment `accept` fails with [`TimedOut`](io::ErrorKind::TimedOut), also
            /// where it waits already; `None`: there is none.
            ///
            /// # Errors
            /// None at present. It is a `Result` as for the timeouts, which std has, too.
            pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.fd.set_read_deadline(deadline)
            }

            /// The listener, with a done channel that ends its `accept`.
            pub fn with_done<'a, D>(&'a self, done: &'a Receiver<D>) -> WithDone<'a, $name, D> {
                WithDone::new(self, done)
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
        }

        #[doc = concat!("The connections that a [`", stringify!($name), "`] accepts.")]
        ///
        /// The iterator never ends.
        /// After an error that the next attempt would meet as well (the process has no descriptors
        /// left, or the deadline is over) it pauses.
        #[derive(Debug)]
        pub struct $incoming<'a> {
            listener: &'a $name,
            backoff: Backoff,
        }

        impl Iterator for $incoming<'_> {
            type Item = io::Result<$stream>;

            fn next(&mut self) -> Option<io::Result<$stream>> {
                self.backoff.wait(&self.listener.fd, None);
                let accepted = self.listener.accept();
                self.backoff.note(&accepted);
                Some(accepted.map(|(stream, _)| stream))
            }
        }

        impl<'a> IntoIterator for &'a $name {
            type Item = io::Result<$stream>;
            type IntoIter = $incoming<'a>;

            fn into_iter(self) -> $incoming<'a> {
                self.incoming()
            }
        }

        impl<'a, D> WithDone<'a, $name, D> {
            #[doc = concat!("[`", stringify!($name), "::accept`].")]
            ///
            /// # Errors
            /// As there; and if the done channel is closed.
            pub fn accept(&self) -> io::Result<($stream, $address)> {
                self.socket.accept_until(Some(self.done))
            }

            /// The connections as they come, with pauses after errors if need be. It ends when the
            /// done channel is closed.
            pub fn incoming(&self) -> impl Iterator<Item = io::Result<$stream>> + use<'a, D> {
                let (listener, mut backoff) = (*self, Backoff::default());
                std::iter::from_fn(move || {
                    backoff.wait(&listener.socket.fd, Some(listener.done));
                    let accepted = listener.accept();
                    backoff.note(&accepted);
                    match accepted {
                        Ok((stream, _)) => Some(Ok(stream)),
                        Err(error) if is_done(&error) => None,
                        Err(error) => Some(Err(error)),
                    }
                })
            }
        }
    };
}
pub(super) use listener;
