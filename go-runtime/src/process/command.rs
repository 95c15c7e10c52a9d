//! What is to be run.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{self, ExitStatus, Output, Stdio};

use super::child::Child;
use super::starter;
use crate::blocking::blocking_io;

/// A program, and how to start it: [`std::process::Command`], whose waits park the goroutine.
///
/// What it has no method for, std's and the extensions of std's are reached by
/// [`as_mut`](AsMut::as_mut).
#[derive(Debug)]
pub struct Command(process::Command);

impl Command {
    /// For the program of this name, which is looked for in `PATH` if there is no slash in it.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        Command(process::Command::new(program))
    }

    /// Adds an argument. No shell sees it.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Command {
        self.0.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> &mut Command {
        self.0.args(args);
        self
    }

    /// Sets an environment variable of the child.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        self.0.env(key, value);
        self
    }

    /// Sets environment variables of the child.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> &mut Command {
        self.0.envs(variables);
        self
    }

    /// The child does not get this environment variable.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Command {
        self.0.env_remove(key);
        self
    }

    /// The child gets no environment variables but those set after this.
    pub fn env_clear(&mut self) -> &mut Command {
        self.0.env_clear();
        self
    }

    /// The directory that the child starts in.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Command {
        self.0.current_dir(directory);
        self
    }

    /// The child's standard input. Without this: the caller's for `spawn` and `status`, nothing for
    /// `output`.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Command {
        self.0.stdin(stdin);
        self
    }

    /// The child's standard output. Without this: the caller's for `spawn` and `status`, a pipe for
    /// `output`.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Command {
        self.0.stdout(stdout);
        self
    }

    /// The child's standard error. Without this: as for `stdout`.
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Command {
        self.0.stderr(stderr);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// As [`std::process::Command::spawn`]: there is no such program, say.
    pub fn spawn(&mut self) -> io::Result<Child> {
        starter::start(&mut self.0).map(Child::new)
    }

    /// Starts it, waits for its end, and returns what it wrote. That takes a thread of the pool for
    /// [`blocking`](crate::blocking()) calls meanwhile; [`spawn`](Self::spawn) with two
    /// [pipes](Stdio::piped) and [`wait_with_output`](Child::wait_with_output) take none.
    ///
    /// # Errors
    /// As [`std::process::Command::output`]. A child that fails is none: look at
    /// [`Output::status`].
    pub fn output(&mut self) -> io::Result<Output> {
        blocking_io(|| self.0.output())
    }

    /// Starts it, and waits for its end.
    ///
    /// # Errors
    /// As [`std::process::Command::status`]. A child that fails is none.
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }
}

impl AsMut<process::Command> for Command {
    fn as_mut(&mut self) -> &mut process::Command {
        &mut self.0
    }
}

impl From<process::Command> for Command {
    fn from(command: process::Command) -> Command {
        Command(command)
    }
}
