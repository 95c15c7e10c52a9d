//! A descriptor that goroutines wait for: its registration with the poller, its two directions and
//! their limits. The module `drive` runs its operations.
//!
//! Any thread may use an `Fd`: atomics hold its limits and what is known of its readiness, and a
//! lock guards the registration, which the first operation that has to wait creates.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::done::WithDone;
use super::drive::Left;
use super::limits::Limits;
use super::readiness::{Direction, Directions};
use crate::channel::Receiver;
use crate::sched::Registration;

/// A value with a file descriptor that the system can wait for: a socket, a pipe, a `timerfd`,
/// another library's connection. Its operations park the goroutine until the descriptor is ready;
/// on a plain thread they block the thread.
///
/// The descriptor has to be *non-blocking*: an operation that blocks in the system holds the
/// worker. [`Fd::new`] makes it so, for every handle to the same open file. For a terminal these
/// include the standard output and the programs that run there before and after, which do not
/// expect it; for the standard input there is [`io::stdin`](crate::io::stdin).
///
/// Readiness wakes one goroutine at a time for each direction. Several goroutines may use an `Fd`,
/// also on different workers, and readers do not wait for writers. An `Fd` is cheapest on the
/// worker whose goroutine first waited for it.
///
/// While it is in an `Fd`, `T` must keep the same descriptor: if `T` exchanges it, the new one's
/// readiness is not reported. A descriptor should be in one `Fd` at a time, shared by reference or
/// in an `Arc`: of two that borrow it, both may be woken, or one fails with
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
    // The first field, so that the registration ends before the descriptor is closed.
    registration: Mutex<Option<Registration>>,
    is_registered: AtomicBool,
    directions: Arc<Directions>,
    read_limits: Limits,
    write_limits: Limits,
    never_waits: AtomicBool,
    io: T,
}

/// Which of the two directions of a descriptor an operation belongs to.
#[derive(Clone, Copy)]
pub(super) enum IoDirection {
    Read,
    Write,
}

impl<T: AsFd> Fd<T> {
    /// Wraps `io`, and makes its descriptor non-blocking.
    ///
    /// # Errors
    /// If the system refuses to make it non-blocking.
    pub fn new(io: T) -> io::Result<Fd<T>> {
        rustix::io::ioctl_fionbio(&io, true)?;
        Ok(Fd::of_non_blocking(io))
    }

    /// Wraps `io`, which is non-blocking already, or has no operation that could block.
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

    /// Returns a reference to the inner value.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Returns the inner value. Its descriptor stays non-blocking.
    pub fn into_inner(self) -> T {
        // The poller forgets the descriptor before the caller gets it.
        drop(self.registration);
        self.io
    }

    /// Runs `operation`. As long as the operation returns
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), waits until the descriptor is readable, and runs
    /// it again.
    ///
    /// Return `WouldBlock` only if the system returned it: an operation that returns it although
    /// there is data waits until more data arrives.
    ///
    /// # Errors
    /// The operation's other errors; [`TimedOut`](io::ErrorKind::TimedOut) after the
    /// [deadline](Self::set_read_deadline); and an error if the system cannot wait for such a
    /// descriptor: for a file or a directory Linux reports that the operation is not permitted.
    pub fn read_with<R>(&self, mut operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.drive(IoDirection::Read, None, |io| operation(io).map(Left::More))
    }

    /// Runs an operation like [`read_with`](Self::read_with), for operations that need the
    /// descriptor to be writable.
    ///
    /// # Errors
    /// The errors of [`read_with`](Self::read_with), with the deadline of
    /// [`set_write_deadline`](Self::set_write_deadline).
    pub fn write_with<R>(&self, mut operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.drive(IoDirection::Write, None, |io| operation(io).map(Left::More))
    }

    /// Sets the moment after which reads fail with [`TimedOut`](io::ErrorKind::TimedOut), including
    /// reads that are waiting already. With `None` they wait without a limit.
    ///
    /// # Errors
    /// None at present. The result type is that of std's setters of timeouts.
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.read_limits.set_deadline(deadline);
        self.directions.read.recheck_deadline();
        Ok(())
    }

    /// Sets the moment after which writes fail with [`TimedOut`](io::ErrorKind::TimedOut),
    /// including writes that are waiting already. With `None` they wait without a limit.
    ///
    /// # Errors
    /// None at present. The result type is that of std's setters of timeouts.
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.write_limits.set_deadline(deadline);
        self.directions.write.recheck_deadline();
        Ok(())
    }

    /// Returns the descriptor with a done channel that ends its operations.
    #[must_use]
    pub fn with_done<'a, D>(&'a self, done: &'a Receiver<D>) -> WithDone<'a, Fd<T>, D> {
        WithDone::new(self, done)
    }

    pub(super) fn limits(&self, which: IoDirection) -> &Limits {
        match which {
            IoDirection::Read => &self.read_limits,
            IoDirection::Write => &self.write_limits,
        }
    }

    /// Returns whether operations return `WouldBlock` instead of waiting.
    pub(super) fn never_waits(&self) -> bool {
        self.never_waits.load(Ordering::Relaxed)
    }

    pub(super) fn set_never_waits(&self, never_waits: bool) {
        self.never_waits.store(never_waits, Ordering::Relaxed);
    }

    pub(super) fn note_shutdown(&self, how: Shutdown) {
        self.directions.note_shutdown(how);
    }

    pub(super) fn direction(&self, which: IoDirection) -> &Direction {
        match which {
            IoDirection::Read => &self.directions.read,
            IoDirection::Write => &self.directions.write,
        }
    }

    pub(super) fn register(&self) -> io::Result<()> {
        if self.is_registered.load(Ordering::Acquire) {
            return Ok(());
        }
        // `as_fd` is user code, which may park, so it runs before the lock is taken.
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
    /// Runs an operation like [`Fd::read_with`], until the done channel is closed.
    ///
    /// # Errors
    /// The errors of [`Fd::read_with`], and an error if the done channel is closed.
    pub fn read_with<R>(&self, mut operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let attempt = |io: &T| operation(io).map(Left::More);
        self.socket
            .drive(IoDirection::Read, Some(self.done), attempt)
    }

    /// Runs an operation like [`Fd::write_with`], until the done channel is closed.
    ///
    /// # Errors
    /// The errors of [`Fd::write_with`], and an error if the done channel is closed.
    pub fn write_with<R>(&self, mut operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let attempt = |io: &T| operation(io).map(Left::More);
        self.socket
            .drive(IoDirection::Write, Some(self.done), attempt)
    }
}

/// Sets a timeout. As in std, a timeout of zero is an error.
pub(super) fn set_timeout<T: AsFd>(
    fd: &Fd<T>,
    which: IoDirection,
    timeout: Option<Duration>,
) -> io::Result<()> {
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a timeout of zero: say None for no timeout",
        ));
    }
    fd.limits(which).set_timeout(timeout);
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

/// Converts like [`into_inner`](Fd::into_inner): the descriptor stays non-blocking.
impl<T: AsFd + Into<OwnedFd>> From<Fd<T>> for OwnedFd {
    fn from(fd: Fd<T>) -> OwnedFd {
        fd.into_inner().into()
    }
}

/// Converts like [`into_inner`](Fd::into_inner): the descriptor stays non-blocking.
impl<T: AsFd + IntoRawFd> IntoRawFd for Fd<T> {
    fn into_raw_fd(self) -> RawFd {
        self.into_inner().into_raw_fd()
    }
}

impl<T: fmt::Debug> fmt::Debug for Fd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fd").field(&self.io).finish()
    }
}
