//! The operations that TCP and Unix-domain listeners have in common.

/// Defines `accept` and related methods for a listener with a field `fd: Arc<Fd<$std>>`, and its
/// iterator.
macro_rules! listener {
    ($name:ident, $std:ty, $stream:ident, $address:ty, $incoming:ident) => {
        impl $name {
            /// Blocks until there is a connection, and accepts it.
            ///
            /// # Errors
            /// The system's errors: there may be no descriptor for the connection (`EMFILE`; the
            /// connection then stays in the queue), or the peer may have given up meanwhile.
            /// [`TimedOut`](io::ErrorKind::TimedOut) after the [deadline](Self::set_deadline).
            pub fn accept(&self) -> io::Result<($stream, $address)> {
                self.accept_until(None)
            }

            pub(super) fn accept_until(
                &self,
                done: $crate::net::done::Done<'_>,
            ) -> io::Result<($stream, $address)> {
                let (stream, address) = self
                    .fd
                    .drive(IoDirection::Read, done, |io| io.accept().map(Left::More))?;
                stream.set_nonblocking(true)?;
                Ok(($stream::from_non_blocking(stream), address))
            }

            /// Returns an endless iterator over the connections as they arrive.
            ///
            /// Some errors, such as a lack of descriptors (`EMFILE`), would at once fail the next
            /// attempt as well. After such an error the iterator pauses before its next attempt:
            /// for 5 ms, and after each further such error for twice as long, up to a second. A
            /// pause does not extend beyond the deadline. If the listener is
            /// [non-blocking](Self::set_nonblocking), the iterator does not pause.
            pub fn incoming(&self) -> $incoming<'_> {
                $incoming {
                    listener: self,
                    backoff: Backoff::default(),
                }
            }

            /// Returns the address that the listener is bound to.
            ///
            /// # Errors
            /// The system's errors.
            pub fn local_addr(&self) -> io::Result<$address> {
                self.fd.get_ref().local_addr()
            }

            /// Returns another handle to the same listener; each connection is accepted once.
            ///
            /// # Errors
            /// None at present. The result type is that of std's method.
            pub fn try_clone(&self) -> io::Result<$name> {
                Ok($name {
                    fd: Arc::clone(&self.fd),
                })
            }

            /// Sets the moment after which `accept` fails with
            /// [`TimedOut`](io::ErrorKind::TimedOut), even if it is waiting already. With `None`
            /// there is no limit.
            ///
            /// # Errors
            /// None at present. The result type is that of std's setters of timeouts.
            pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.fd.set_read_deadline(deadline)
            }

            /// Returns the listener with a done channel that ends its `accept`.
            pub fn with_done<'a, D>(&'a self, done: &'a Receiver<D>) -> WithDone<'a, $name, D> {
                WithDone::new(self, done)
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
        }

        #[doc = concat!("The connections that a [`", stringify!($name), "`] accepts.")]
        ///
        /// The iterator over a listener's connections, which never ends. It pauses after an error
        /// that the next attempt would meet as well (the process has no descriptors left, or the
        /// deadline has passed).
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
            #[doc = concat!("[`", stringify!($name), "::accept`], until `done` is ready.")]
            ///
            /// # Errors
            /// The errors of the listener's `accept`, and an error if the done channel is closed.
            pub fn accept(&self) -> io::Result<($stream, $address)> {
                self.socket.accept_until(Some(self.done))
            }

            /// Returns an iterator over the connections as they arrive, which pauses after errors
            /// like that of the listener. It ends when the done channel is closed.
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
