//! Waiting for a child and signaling it, without ever signaling another process.
//!
//! The system may reuse a process id as soon as the parent has waited for the process. Code that
//! signals by id must therefore know that this has not happened.
//!
//! - On Linux 5.3 and newer a pidfd stands for the process itself (pidfd_open(2)): the poller
//!   watches it like a socket, so a wait occupies no thread, and a signal through it reaches this
//!   process or none.
//! - Elsewhere one lock guards everything that uses the id: `try_wait`, which frees the id, and
//!   `kill`. Neither blocks. A wait then polls `try_wait` with growing pauses.

use std::fmt;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::channel::{Receiver, Select};
use crate::clock;
use crate::wait::Observable;
use crate::wait::note_failed_poll;

#[cfg(any(target_os = "linux", target_os = "android"))]
use {
    crate::net::{Fd, is_done},
    rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
    std::os::fd::OwnedFd,
};

/// The first pause of a wait that has no pidfd; each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// A handle to a child process, to end it from another goroutine while
/// [`Child::wait`](super::Child::wait) waits for it.
///
/// Clones stand for the same process. A handle never reaches another process: once the child has
/// been waited for, and its process id may have been reused, no signal is sent.
///
/// ```
/// # #[cfg(unix)] {
/// use go_runtime::{go, process::{Command, Stdio}};
///
/// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
/// let input = child.stdin.take(); // `cat` waits for input.
/// let process = child.process();
/// let waiting = go!(move || child.wait());
/// process.kill().unwrap();
/// assert!(!waiting.join().unwrap().unwrap().success());
/// # }
/// ```
#[derive(Clone)]
pub struct Process(Arc<Shared>);

struct Shared {
    id: u32,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pidfd: Option<Fd<OwnedFd>>,
    child: Mutex<Child>,
}

impl Process {
    pub(super) fn new(child: Child) -> Process {
        Process(Arc::new(Shared {
            id: child.id(),
            // No caller can have waited for the child yet, so the id still belongs to the child.
            #[cfg(any(target_os = "linux", target_os = "android"))]
            pidfd: Pid::from_raw(child.id().cast_signed())
                .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
                // A pidfd is never read from, so it need not be non-blocking.
                .map(Fd::of_non_blocking),
            child: Mutex::new(child),
        }))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        // No code under this lock panics or blocks, so a poisoned lock guards consistent data.
        self.0.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the process id. It may belong to another process once this one has been waited for.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// Ends the process, with SIGKILL on Unix. The owner of the [`Child`](super::Child) still has
    /// to wait for the process.
    ///
    /// # Errors
    /// The errors of [`std::process::Child::kill`]. It is no error if the process has ended
    /// already.
    pub fn kill(&self) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(pidfd) = &self.0.pidfd {
            return send(pidfd, Signal::KILL);
        }
        self.child().kill()
    }

    /// Sends a signal, for instance [`SIGTERM`](crate::signal::SIGTERM).
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the signal has no name, and the system's
    /// errors. It is no error if the process has ended already.
    ///
    /// ```
    /// use go_runtime::{process::{Command, Stdio}, signal::SIGTERM};
    ///
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// child.process().signal(SIGTERM)?;
    /// assert!(!child.wait()?.success());
    /// # std::io::Result::Ok(())
    /// ```
    #[cfg(unix)]
    pub fn signal(&self, signal: crate::signal::Signal) -> io::Result<()> {
        let Some(named) = rustix::process::Signal::from_named_raw(signal.as_raw()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{signal:?} is no signal that has a name"),
            ));
        };
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(pidfd) = &self.0.pidfd {
            return send(pidfd, named);
        }
        let mut child = self.child();
        // The lock is held from this check to the signal, so no `try_wait` frees the id in between.
        match rustix::process::Pid::from_raw(self.0.id.cast_signed()) {
            Some(pid) if child.try_wait()?.is_none() => {
                Ok(rustix::process::kill_process(pid, named)?)
            }
            _ => Ok(()),
        }
    }

    /// Returns how the process has ended, or `None` if it is still running. std remembers the
    /// status, so the call may be repeated.
    pub(super) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.child().try_wait()
    }

    /// Waits until the process has ended. There may be one caller at a time. Returns `None` if
    /// `deadline` or `done` came first.
    pub(super) fn wait_until<D>(
        &self,
        deadline: Option<Instant>,
        done: Option<&Receiver<D>>,
    ) -> io::Result<Option<ExitStatus>> {
        if done.is_some_and(Observable::is_ready) {
            note_failed_poll();
            return Ok(None);
        }
        if let Some(status) = self.try_wait()? {
            return Ok(Some(status));
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(pidfd) = &self.0.pidfd {
            let ended = |_: &OwnedFd| {
                let status = self.try_wait()?;
                status.ok_or_else(|| io::ErrorKind::WouldBlock.into())
            };
            pidfd.set_read_deadline(deadline)?;
            let waited = match done {
                None => pidfd.read_with(ended),
                Some(done) => pidfd.with_done(done).read_with(ended),
            };
            match waited {
                Ok(status) => return Ok(Some(status)),
                Err(error) if error.kind() == io::ErrorKind::TimedOut || is_done(&error) => {
                    return Ok(None);
                }
                // Either the pidfd cannot be polled, because this process has no descriptor left
                // for a poller; or `try_wait` failed, and fails again below.
                Err(_) => {}
            }
        }
        self.ask_until(deadline, done)
    }

    /// Waits like [`wait_until`](Self::wait_until), without a pidfd: polls `try_wait`.
    fn ask_until<D>(
        &self,
        deadline: Option<Instant>,
        done: Option<&Receiver<D>>,
    ) -> io::Result<Option<ExitStatus>> {
        let mut pause = FIRST_PAUSE;
        loop {
            if done.is_some_and(Observable::is_ready) {
                return Ok(None);
            }
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            let now = clock::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                note_failed_poll();
                return Ok(None);
            }
            let next = deadline.map_or(now + pause, |deadline| deadline.min(now + pause));
            match done {
                None => crate::time::sleep_until(next),
                Some(done) => {
                    let mut select = Select::new();
                    select.recv(done);
                    // The result does not matter: the loop checks both `done` and the child.
                    let _ = select.ready_deadline(next);
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Sends the signal, unless the process has been waited for.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn send(pidfd: &Fd<OwnedFd>, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(pidfd, signal) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        sent => Ok(sent?),
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Process").field(&self.0.id).finish()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// Creates a process handle as on a kernel without pidfds.
    fn without_pidfd() -> io::Result<(Process, Option<std::process::ChildStdin>)> {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let mut process = Process::new(child);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(shared) = Arc::get_mut(&mut process.0) {
            shared.pidfd = None;
        }
        Ok((process, input))
    }

    #[test]
    fn waits_without_a_pidfd() -> io::Result<()> {
        let (process, input) = without_pidfd()?;
        let (stop, done) = crate::channel::bounded::<u8>(0);
        assert!(
            process
                .wait_until(Some(clock::now()), Some(&done))?
                .is_none()
        );
        let waiting = crate::go!(clone(process) { process.wait_until(None, Some(&done)) });
        drop(stop);
        let waited = waiting
            .join()
            .map_err(|_| io::Error::other("it panicked"))?;
        assert!(waited?.is_none());
        drop(input);
        let status = process.wait_until::<()>(None, None)?;
        assert!(status.is_some_and(|status| status.success()));
        process.kill()
    }

    #[test]
    fn signals_without_a_pidfd() -> io::Result<()> {
        use std::os::unix::process::ExitStatusExt;
        for (signal, number) in [(Some(crate::signal::SIGTERM), 15), (None, 9)] {
            let (process, _input) = without_pidfd()?;
            match signal {
                Some(signal) => process.signal(signal)?,
                None => process.kill()?,
            }
            let status = process.wait_until::<()>(None, None)?;
            assert_eq!(status.and_then(|status| status.signal()), Some(number));
            // The id is free now: no signal is sent, because the id may belong to another process.
            process.signal(crate::signal::SIGTERM)?;
        }
        Ok(())
    }
}
