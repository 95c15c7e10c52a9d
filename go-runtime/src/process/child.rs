//! A running child process, and the pipes to it.

use std::io;
use std::process::{self, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use super::handle::Process;
use crate::blocking::{reads, writes};
use crate::channel::Receiver;
use crate::clock;
use crate::{Builder, scope};

/// A child process: [`std::process::Child`], whose waits park the goroutine.
///
/// Dropping a `Child` neither ends the process nor waits for it. Wait for each child in the end:
/// until then the system keeps the child's process id and status.
///
/// A wait may have a deadline or a done channel. Giving up a wait neither ends the child nor loses
/// its status:
///
/// ```
/// # #[cfg(unix)] {
/// use std::time::Duration;
/// use go_runtime::process::Command;
///
/// let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
/// let status = match child.wait_timeout(Duration::from_millis(1)).unwrap() {
///     Some(status) => status,
///     None => {
///         child.kill().unwrap();
///         child.wait().unwrap()
///     }
/// };
/// assert!(!status.success());
/// # }
/// ```
#[derive(Debug)]
pub struct Child {
    process: Process,
    /// The pipe to the child's standard input, if one was requested.
    pub stdin: Option<ChildStdin>,
    /// The pipe from the child's standard output, if one was requested.
    pub stdout: Option<ChildStdout>,
    /// The pipe from the child's standard error, if one was requested.
    pub stderr: Option<ChildStderr>,
}

impl Child {
    pub(super) fn new(mut inner: process::Child) -> Child {
        Child {
            stdin: inner.stdin.take().map(ChildStdin),
            stdout: inner.stdout.take().map(ChildStdout),
            stderr: inner.stderr.take().map(ChildStderr),
            process: Process::new(inner),
        }
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Returns a handle that can end the process from another goroutine while this one waits for
    /// it.
    #[must_use]
    pub fn process(&self) -> Process {
        self.process.clone()
    }

    /// Ends the process, with SIGKILL on Unix. The caller still has to wait for the process.
    ///
    /// # Errors
    /// The errors of [`std::process::Child::kill`]. It is no error if the process has ended
    /// already.
    pub fn kill(&self) -> io::Result<()> {
        self.process.kill()
    }

    /// Returns how the process has ended, or `None` if it is still running.
    ///
    /// ```
    /// # #[cfg(unix)] {
    /// use go_runtime::process::{Command, Stdio};
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    /// assert!(child.try_wait().unwrap().is_none()); // `cat` waits for input.
    /// child.kill().unwrap();
    /// assert!(!child.wait().unwrap().success());
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`std::process::Child::try_wait`].
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.process.try_wait()?;
        if status.is_none() {
            crate::wait::note_failed_poll();
        }
        Ok(status)
    }

    /// Closes the pipe to the child's standard input, so that the two processes do not wait for
    /// each other, and waits for the child to end.
    ///
    /// # Errors
    /// The errors of [`std::process::Child::wait`].
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        match self.wait_until::<()>(None, None)? {
            Some(status) => Ok(status),
            None => unreachable!("nothing ends a wait without a deadline and a done channel"),
        }
    }

    /// Waits like [`wait`](Self::wait), for at most `timeout`. Returns `None` if the child has not
    /// ended by then.
    ///
    /// This also closes the pipe to the child's standard input. A timeout beyond what an
    /// [`Instant`] can express is no limit.
    ///
    /// # Errors
    /// The errors of [`wait`](Self::wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        self.wait_until::<()>(clock::after(timeout), None)
    }

    /// Waits like [`wait`](Self::wait), until `deadline`. Returns `None` if the child has not ended
    /// by then.
    ///
    /// # Errors
    /// The errors of [`wait`](Self::wait).
    pub fn wait_deadline(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        self.wait_until::<()>(Some(deadline), None)
    }

    /// Waits like [`wait`](Self::wait), until `done` is closed or has a message, which is not
    /// received. Returns `None` if `done` came first. If `done` is ready from the beginning, the
    /// result is `None` even if the child has ended.
    ///
    /// This is what Go's `exec.CommandContext` does:
    ///
    /// ```
    /// # #[cfg(unix)] {
    /// use std::time::Duration;
    /// use go_runtime::{context::Context, process::Command};
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    /// if child.wait_with(ctx.done()).unwrap().is_none() {
    ///     child.kill().unwrap();
    /// }
    /// assert!(!child.wait().unwrap().success());
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`wait`](Self::wait).
    pub fn wait_with<D>(&mut self, done: &Receiver<D>) -> io::Result<Option<ExitStatus>> {
        self.wait_until(None, Some(done))
    }

    fn wait_until<D>(
        &mut self,
        deadline: Option<Instant>,
        done: Option<&Receiver<D>>,
    ) -> io::Result<Option<ExitStatus>> {
        drop(self.stdin.take());
        self.process.wait_until(deadline, done)
    }

    /// Closes the pipe to the child's standard input, reads the child's output from its other
    /// pipes, and waits for it to end.
    ///
    /// # Errors
    /// The errors of [`std::process::Child::wait_with_output`], and an error if there is no memory
    /// for the goroutine that reads one of two pipes.
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (out, err) = (self.stdout.take(), self.stderr.take());
        let (stdout, stderr) = scope(|s| {
            let out = out.map(|pipe| Builder::new().spawn_scoped(s, || read_all(pipe.0)));
            let stderr = err.map_or_else(|| Ok(Vec::new()), |pipe| read_all(pipe.0))?;
            let stdout = match out.transpose()?.map(|reader| reader.join()) {
                None => Vec::new(),
                Some(Ok(stdout)) => stdout?,
                Some(Err(payload)) => std::panic::resume_unwind(payload),
            };
            io::Result::Ok((stdout, stderr))
        })?;
        Ok(Output {
            status: self.wait()?,
            stdout,
            stderr,
        })
    }
}

/// Reads to the end of a pipe. Only this end becomes non-blocking; the child's end stays blocking.
#[cfg(unix)]
fn read_all(pipe: impl Into<std::os::fd::OwnedFd>) -> io::Result<Vec<u8>> {
    use io::Read;
    let pipe = crate::net::Fd::new(io::PipeReader::from(pipe.into()))?;
    let mut all = Vec::new();
    // If the pipe is empty before its end, the data read so far stays in `all`, and the next call
    // appends to it.
    pipe.read_with(|mut pipe| pipe.read_to_end(&mut all))?;
    Ok(all)
}

#[cfg(not(unix))]
fn read_all(mut pipe: impl io::Read + Send) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    crate::blocking::blocking_io(|| pipe.read_to_end(&mut all))?;
    Ok(all)
}

macro_rules! pipes {
    ($($(#[$attribute:meta])* $name:ident;)*) => {$(
        $(#[$attribute])*
        #[derive(Debug)]
        pub struct $name(process::$name);

        /// Connects the pipe to another command's `stdin`, `stdout` or `stderr`.
        impl From<$name> for Stdio {
            fn from(pipe: $name) -> Stdio {
                pipe.0.into()
            }
        }

        impl From<$name> for process::$name {
            fn from(pipe: $name) -> process::$name {
                pipe.0
            }
        }

        #[cfg(unix)]
        impl std::os::fd::AsFd for $name {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        #[cfg(unix)]
        impl std::os::fd::AsRawFd for $name {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.0.as_raw_fd()
            }
        }

        #[cfg(unix)]
        impl std::os::fd::IntoRawFd for $name {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                self.0.into_raw_fd()
            }
        }

        #[cfg(unix)]
        impl From<$name> for std::os::fd::OwnedFd {
            fn from(pipe: $name) -> std::os::fd::OwnedFd {
                pipe.0.into()
            }
        }
    )*};
}

pipes! {
    /// The pipe to a child's standard input. Dropping it closes it: the child then reads the end of
    /// its input.
    ChildStdin;
    /// The pipe from a child's standard output.
    ChildStdout;
    /// The pipe from a child's standard error.
    ChildStderr;
}

writes!(ChildStdin);
reads!(ChildStdout, owned);
reads!(ChildStderr, owned);
