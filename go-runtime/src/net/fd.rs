//! A descriptor that goroutines wait for: its registration, directions and limits. How its
//! operations run is in `drive`.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::done::WithDone;
use super::drive::Left;
use super::limits::Limits;
use super::readiness::{Direction, Directions};
use crate::channel::Receiver;
use crate::sched::Registration;

/// Anything with a file descriptor that the system can wait for: a socket, a pipe, a `timerfd`,
/// another library's connection. Its operations park the goroutine until the descriptor is ready;
/// on a plain thread they block the thread.
///
/// The descriptor has to be *non-blocking*: an operation that the system lets wait holds the
/// worker. [`Fd::new`] sees to it, for all who share what is open: of a terminal these are the
/// standard output and the programs that run there before and after, which do not expect it. For
/// the standard input there is [`io::stdin`](crate::io::stdin).
///
/// Readiness is told to one goroutine at a time for each direction; it may be used from several,
/// also of different workers, and readers do not wait for writers. It is cheapest on the worker
/// where it was waited for first.
///
/// While it is in here `T` must keep the same descriptor: if it is exchanged, nobody is told of the
/// new one's readiness. It should be in one `Fd` at a time, shared by reference or in an `Arc`: two
/// that borrow it may both be told, or one fails with
/// [`AlreadyExists`](io::ErrorKind::AlreadyExists) when it has to wait.
///
/// ```
/// use std::io::{self, Read, Write};
/// use go_runtime::{go, net::Fd};
///
/// # fn main() -> io::Result<()> {
/// let (reader, mut writer) = io::pipe()?;
/// let reader = Fd::new(reader)?;
/// let text = go! {
///     let mut text = [0; 5];
///     let n = reader.read_with(|mut pipe| pipe.read(&mut text))?;
///     io::Result::Ok(text[..n].to_vec())
/// };
/// writer.write_all(b"hello")?;
/// assert_eq!(text.join().unwrap()?, b"hello");
/// # Ok(())
/// # }
/// ```
pub struct Fd<T> {
    // First, so that it is taken out of the poller before the descriptor is closed.
    registration: Mutex<Option<Registration>>,
    is_registered: AtomicBool,
    directions: Arc<Directions>,
    read_limits: Limits,
    write_limits: Limits,
    never_waits: AtomicBool,
    io: T,
}

/// One of the two directions.
#[derive(Clone, Copy)]
pub(super) enum Way {
    Read,
    Write,
}

impl<T: AsFd> Fd<T> {
    /// Takes `io`, and makes its descriptor non-blocking.
    ///
    /// # Errors
    /// If the system refuses that.
    pub fn new(io: T) -> io::Result<Fd<T>> {
        rustix::io::ioctl_fionbio(&io, true)?;
        Ok(Fd::of_non_blocking(io))
    }

    /// `io` is non-blocking already, or has no operation that could block.
    pub(crate) fn of_non_blocking(io: T) -> Fd<T> {
        Fd {
            registration: Mutex::new(None),
            is_registered: AtomicBool::new(false),
            directions: Arc::default(),
            read_limits: Limits::default(),
            write_limits: Limits::default(),
            never_waits: AtomicBool::new(false),
            io,
        }
    }

    /// What is inside.
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Gives back what is inside. Its descriptor stays non-blocking.
    pub fn into_inner(self) -> T {
        // The poller knows it no more when it comes out.
        drop(self.registration);
        self.io
    }

    /// Runs `operation`, and again whenever the descriptor has become readable, as long as it says
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// `WouldBlock` is the system's word: who says it though something was there waits until more
    /// comes.
    ///
    /// # Errors
    /// The operation's others; [`TimedOut`](io::ErrorKind::TimedOut) after the
    /// [deadline](Self::set_read_deadline); and if the system cannot wait for such a descriptor: of
    /// a file or a directory Linux then says that the operation is not permitted.
    pub fn read_with<R>(&self, mut operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.drive(Way::Read, None, |io| operation(io).map(Left::More))
    }

    /// [`read_with`](Self::read_with), for an operation that needs the descriptor to be writable.
    ///
    /// # Errors
    /// As there, with [`set_write_deadline`](Self::set_write_deadline).
    pub fn write_with<R>(&self, mut operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.drive(Way::Write, None, |io| operation(io).map(Left::More))
    }

    /// After that moment reads fail with [`TimedOut`](io::ErrorKind::TimedOut), also those that
    /// wait already; `None`: they wait for ever.
    ///
    /// # Errors
    /// None at present. It is a `Result` as for the timeouts, which std has, too.
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.read_limits.set_deadline(deadline);
        self.directions.read.look_again();
        Ok(())
    }

    /// After that moment writes fail with [`TimedOut`](io::ErrorKind::TimedOut), also those that
    /// wait already; `None`: they wait for ever.
    ///
    /// # Errors
    /// None at present. It is a `Result` as for the timeouts, which std has, too.
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.write_limits.set_deadline(deadline);
        self.directions.write.look_again();
        Ok(())
    }

    /// The descriptor, with a done channel that ends its operations.
    pub fn with_done<'a, D>(&'a self, done: &'a Receiver<D>) -> WithDone<'a, Fd<T>, D> {
        WithDone::new(self, done)
    }

    pub(super) fn limits(&self, way: Way) -> &Limits {
        match way {
            Way::Read => &self.read_limits,
            Way::Write => &self.write_limits,
        }
    }

    /// Whether operations say that they would block, and do not wait.
    pub(super) fn never_waits(&self) -> bool {
        self.never_waits.load(Ordering::Relaxed)
    }

    pub(super) fn set_never_waits(&self, never_waits: bool) {
        self.never_waits.store(never_waits, Ordering::Relaxed);
    }

    pub(super) fn note_shutdown(&self, how: Shutdown) {
        self.directions.note_shutdown(how);
    }

    pub(super) fn direction(&self, way: Way) -> &Direction {
        match way {
            Way::Read => &self.directions.read,
            Way::Write => &self.directions.write,
        }
    }

    pub(super) fn register(&self) -> io::Result<()> {
        if self.is_registered.load(Ordering::Acquire) {
            return Ok(());
        }
        // The user's code: not under the lock, as it may park.
        let fd = self.io.as_fd();
        let mut registration = self
            .registration
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if registration.is_none() {
            let directions = Arc::clone(&self.directions);
            *registration = Some(Registration::new(fd, directions)?);
            self.is_registered.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl<T: AsFd, D> WithDone<'_, Fd<T>, D> {
    /// [`Fd::read_with`].
    ///
    /// # Errors
    /// As there; and if the done channel is closed.
    pub fn read_with<R>(&self, mut operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let attempt = |io: &T| operation(io).map(Left::More);
        self.socket.drive(Way::Read, Some(self.done), attempt)
    }

    /// [`Fd::write_with`].
    ///
    /// # Errors
    /// As there; and if the done channel is closed.
    pub fn write_with<R>(&self, mut operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let attempt = |io: &T| operation(io).map(Left::More);
        self.socket.drive(Way::Write, Some(self.done), attempt)
    }
}

/// std's rule: a timeout of zero is a mistake.
pub(super) fn set_timeout<T: AsFd>(
    fd: &Fd<T>,
    way: Way,
    timeout: Option<Duration>,
) -> io::Result<()> {
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a timeout of zero: say None for no timeout",
        ));
    }
    fd.limits(way).set_timeout(timeout);
    Ok(())
}

impl<T: AsFd> AsFd for Fd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl<T: AsFd> AsRawFd for Fd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_fd().as_raw_fd()
    }
}

impl<T: fmt::Debug> fmt::Debug for Fd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fd").field(&self.io).finish()
    }
}
