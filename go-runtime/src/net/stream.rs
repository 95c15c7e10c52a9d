//! The operations that TCP and Unix-domain streams have in common.

/// Defines `Read`, `Write` and `shutdown` for a stream with a field `fd: Arc<Fd<..>>`. `$left`
/// classifies a read by its number of bytes and the length of its buffer (see `Left`), and
/// `$drive_write` is the method of the descriptor that runs writes.
macro_rules! stream {
    ($name:ident, $left:expr, $drive_write:ident) => {
        impl $name {
            pub(super) fn read_until(
                &self,
                buf: &mut [u8],
                done: $crate::net::done::Done<'_>,
            ) -> io::Result<usize> {
                let len = buf.len();
                self.fd.drive(IoDirection::Read, done, |mut io| {
                    io.read(buf).map(|n| $left(n, len))
                })
            }

            pub(super) fn read_vectored_until(
                &self,
                bufs: &mut [IoSliceMut<'_>],
                done: $crate::net::done::Done<'_>,
            ) -> io::Result<usize> {
                self.fd.drive(IoDirection::Read, done, |mut io| {
                    io.read_vectored(bufs).map(Left::More)
                })
            }

            pub(super) fn write_until(
                &self,
                buf: &[u8],
                done: $crate::net::done::Done<'_>,
            ) -> io::Result<usize> {
                let len = buf.len();
                self.fd.$drive_write(IoDirection::Write, done, |mut io| {
                    io.write(buf).map(|n| Left::of_partial(n, len))
                })
            }

            pub(super) fn write_vectored_until(
                &self,
                bufs: &[IoSlice<'_>],
                done: $crate::net::done::Done<'_>,
            ) -> io::Result<usize> {
                self.fd.$drive_write(IoDirection::Write, done, |mut io| {
                    io.write_vectored(bufs).map(Left::More)
                })
            }

            /// Ends reading, writing or both, for all handles. Operations that are blocked in it
            /// return.
            ///
            /// # Errors
            /// The system's errors, for instance if the stream is not connected.
            pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                self.fd.get_ref().shutdown(how)?;
                self.fd.note_shutdown(how);
                Ok(())
            }
        }

        impl Read for &$name {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.read_until(buf, None)
            }
            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.read_vectored_until(bufs, None)
            }
        }

        impl Write for &$name {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.write_until(buf, None)
            }
            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.write_vectored_until(bufs, None)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl Read for $name {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.read_until(buf, None)
            }
            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.read_vectored_until(bufs, None)
            }
        }

        impl Write for $name {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.write_until(buf, None)
            }
            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.write_vectored_until(bufs, None)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl<D> Read for &WithDone<'_, $name, D> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.socket.read_until(buf, Some(self.done))
            }
            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.socket.read_vectored_until(bufs, Some(self.done))
            }
        }

        impl<D> Write for &WithDone<'_, $name, D> {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.socket.write_until(buf, Some(self.done))
            }
            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.socket.write_vectored_until(bufs, Some(self.done))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl<D> Read for WithDone<'_, $name, D> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                (&*self).read(buf)
            }
            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                (&*self).read_vectored(bufs)
            }
        }

        impl<D> Write for WithDone<'_, $name, D> {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                (&*self).write(buf)
            }
            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                (&*self).write_vectored(bufs)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    };
}
pub(super) use stream;
