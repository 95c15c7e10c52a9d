//! What runs, and the pipes to it.

use std::io;
use std::process::{self, ExitStatus, Output, Stdio};

use crate::blocking::{blocking_io, reads, writes};

/// A process that was started: [`std::process::Child`], whose waits park the goroutine.
///
/// Dropping it neither ends the process nor waits for it. Wait for each child in the end: until then the system keeps its number and its status.
#[derive(Debug)]
pub struct Child {
    /// Its pipes are in the fields below.
    inner: process::Child,
    /// The pipe to its standard input, if one was asked for.
    pub stdin: Option<ChildStdin>,
    /// The pipe from its standard output, if one was asked for.
    pub stdout: Option<ChildStdout>,
    /// The pipe from its standard error, if one was asked for.
    pub stderr: Option<ChildStderr>,
}

impl Child {
    pub(super) fn new(mut inner: process::Child) -> Child {
        Child {
            stdin: inner.stdin.take().map(ChildStdin),
            stdout: inner.stdout.take().map(ChildStdout),
            stderr: inner.stderr.take().map(ChildStderr),
            inner,
        }
    }

    /// The number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.inner.id()
    }

    /// Ends it, by SIGKILL on Unix. It has to be waited for still.
    ///
    /// # Errors
    /// As [`std::process::Child::kill`]. That it has ended already is none.
    pub fn kill(&mut self) -> io::Result<()> {
        self.inner.kill()
    }

    /// How it has ended; `None`: it has not.
    ///
    /// ```
    /// # #[cfg(unix)] {
    /// use go_runtime::process::{Command, Stdio};
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    /// assert!(child.try_wait().unwrap().is_none()); // It waits for what we write.
    /// child.kill().unwrap();
    /// assert!(!child.wait().unwrap().success());
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`std::process::Child::try_wait`].
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.inner.try_wait()?;
        if status.is_none() {
            crate::goroutine::polled_in_vain();
        }
        Ok(status)
    }

    /// Closes the pipe to its standard input, lest both wait, and waits for its end.
    ///
    /// # Errors
    /// As [`std::process::Child::wait`].
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        blocking_io(|| self.inner.wait())
    }

    /// Closes the pipe to its standard input, reads what it writes into its other pipes, and waits for its end.
    ///
    /// # Errors
    /// As [`std::process::Child::wait_with_output`].
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        self.inner.stdout = self.stdout.take().map(|pipe| pipe.0);
        self.inner.stderr = self.stderr.take().map(|pipe| pipe.0);
        blocking_io(|| self.inner.wait_with_output())
    }
}

macro_rules! pipes {
    ($($(#[$attribute:meta])* $name:ident;)*) => {$(
        $(#[$attribute])*
        #[derive(Debug)]
        pub struct $name(process::$name);

        /// For another command's `stdin`, `stdout` or `stderr`.
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
        impl From<$name> for std::os::fd::OwnedFd {
            fn from(pipe: $name) -> std::os::fd::OwnedFd {
                pipe.0.into()
            }
        }
    )*};
}

pipes! {
    /// The pipe to a child's standard input. Dropping it closes it, which is the end of what the child reads.
    ChildStdin;
    /// The pipe from a child's standard output.
    ChildStdout;
    /// The pipe from a child's standard error.
    ChildStderr;
}

writes!(ChildStdin);
reads!(ChildStdout, owned);
reads!(ChildStderr, owned);
