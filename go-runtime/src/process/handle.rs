//! The end of a child: how it is awaited, and how it is brought about without hitting another
//! process.
//!
//! The number of a process is free for another one as soon as its parent has waited for it. Code
//! that signals by number must therefore know that this has not happened. On Linux 5.3 and newer a
//! pidfd stands for the process itself: it is polled like a socket, so the wait takes no thread,
//! and a signal through it reaches this process or none. Elsewhere all that uses the number is
//! under one lock: `try_wait`, which frees it, and `kill`. Neither blocks. The wait then asks
//! `try_wait` after pauses.

use std::fmt;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::channel::observe::Observable;
use crate::channel::{Receiver, Select};
use crate::clock;
use crate::goroutine::polled_in_vain;

#[cfg(any(target_os = "linux", target_os = "android"))]
use {
    crate::net::{Fd, is_done},
    rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
    std::os::fd::OwnedFd,
};

/// The first pause of a wait without a pidfd.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// A handle on a child process, to end it from elsewhere while [`Child::wait`](super::Child::wait)
/// waits for it.
///
/// Clones stand for the same process. A handle never reaches another process: once the child has
/// been waited for, and its number may be another process's, nothing is sent.
///
/// ```
/// # #[cfg(unix)] {
/// use go_runtime::{go, process::{Command, Stdio}};
///
/// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
/// let input = child.stdin.take(); // `cat` waits for it.
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
            // Before anything can wait for the child, so the number is still its own.
            #[cfg(any(target_os = "linux", target_os = "android"))]
            pidfd: Pid::from_raw(child.id().cast_signed())
                .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
                // Nothing ever reads from it.
                .map(Fd::of_non_blocking),
            child: Mutex::new(child),
        }))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        // Nothing panics under the lock, nor blocks.
        self.0.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the process. It may be another one's when this one has been waited for.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// Ends the process, by SIGKILL on Unix. It has to be waited for still.
    ///
    /// # Errors
    /// As [`std::process::Child::kill`]. That the process has ended already is none.
    pub fn kill(&self) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(pidfd) = &self.0.pidfd {
            return send(pidfd, Signal::KILL);
        }
        self.child().kill()
    }

    /// Sends a signal, [`SIGTERM`](crate::signal::SIGTERM) for instance.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the signal has no name, and the system's.
    /// That the process has ended already is none.
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
        // Asked under the lock, so nothing frees the number between the answer and the signal.
        match rustix::process::Pid::from_raw(self.0.id.cast_signed()) {
            Some(pid) if child.try_wait()?.is_none() => {
                Ok(rustix::process::kill_process(pid, named)?)
            }
            _ => Ok(()),
        }
    }

    /// How the process has ended, or `None` if it has not. std remembers the answer, so it may be
    /// asked again.
    pub(super) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.child().try_wait()
    }

    /// Waits for the end of the process, for one caller at a time; `None` if `deadline` or `done`
    /// came first.
    pub(super) fn wait_until<D>(
        &self,
        deadline: Option<Instant>,
        done: Option<&Receiver<D>>,
    ) -> io::Result<Option<ExitStatus>> {
        if done.is_some_and(Observable::is_ready) {
            polled_in_vain();
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
                // It cannot be polled for, as there is no descriptor left for a poller; or
                // `try_wait` says so again.
                Err(_) => {}
            }
        }
        self.ask_until(deadline, done)
    }

    /// [`wait_until`](Self::wait_until) without a pidfd.
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
                polled_in_vain();
                return Ok(None);
            }
            let next = deadline.map_or(now + pause, |deadline| deadline.min(now + pause));
            match done {
                None => crate::time::sleep_until(next),
                Some(done) => {
                    let mut select = Select::new();
                    select.recv(done);
                    // The loop looks at both.
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

    /// As on a kernel that has no pidfds.
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
            // Its number is free, and nothing is sent to whatever has it now.
            process.signal(crate::signal::SIGTERM)?;
        }
        Ok(())
    }
}
