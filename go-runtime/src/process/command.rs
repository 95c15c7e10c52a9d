//! The builder of child processes.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{self, ExitStatus, Output, Stdio};

use super::child::Child;
use super::starter;
use crate::blocking::blocking_io;

/// A program, and how to start it: [`std::process::Command`], whose waits park the goroutine.
///
/// Settings without a method here, and those of std's extension traits, are reached through
/// [`as_mut`](AsMut::as_mut).
#[derive(Debug)]
pub struct Command(process::Command);

impl Command {
    /// Creates a command for this program, which is searched for in `PATH` if the name contains no
    /// slash.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        Command(process::Command::new(program))
    }

    /// Adds an argument. No shell interprets it.
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

    /// Removes an environment variable from the child's environment.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Command {
        self.0.env_remove(key);
        self
    }

    /// Clears the child's environment: the child gets only variables that are set after this call.
    pub fn env_clear(&mut self) -> &mut Command {
        self.0.env_clear();
        self
    }

    /// Sets the directory that the child starts in.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Command {
        self.0.current_dir(directory);
        self
    }

    /// Sets the child's standard input. The default is the caller's standard input for `spawn` and
    /// `status`, and an empty input for `output`.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Command {
        self.0.stdin(stdin);
        self
    }

    /// Sets the child's standard output. The default is the caller's standard output for `spawn`
    /// and `status`, and a pipe for `output`.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Command {
        self.0.stdout(stdout);
        self
    }

    /// Sets the child's standard error. The defaults are those of `stdout`.
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Command {
        self.0.stderr(stderr);
        self
    }

    /// Starts the child.
    ///
    /// # Errors
    /// The errors of [`std::process::Command::spawn`], for instance if the program does not exist.
    pub fn spawn(&mut self) -> io::Result<Child> {
        starter::start(&mut self.0).map(Child::new)
    }

    /// Starts the child, waits for it to end, and returns its output. This occupies a thread of the
    /// pool for [`blocking`](crate::blocking()) calls meanwhile; [`spawn`](Self::spawn) with two
    /// [pipes](Stdio::piped) and [`wait_with_output`](Child::wait_with_output) occupies none.
    ///
    /// # Errors
    /// The errors of [`std::process::Command::output`]. A child that fails is no error: check
    /// [`Output::status`].
    pub fn output(&mut self) -> io::Result<Output> {
        blocking_io(|| self.0.output())
    }

    /// Starts the child, and waits for it to end.
    ///
    /// # Errors
    /// The errors of [`std::process::Command::status`]. A child that fails is no error.
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
