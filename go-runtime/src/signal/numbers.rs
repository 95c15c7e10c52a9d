//! The signals, their names, and which of them can be caught.

use std::fmt;
use std::io;

/// A signal of the operating system.
///
/// [`Display`](fmt::Display) gives its description as Go does, `Debug` the name of the constant.
///
/// ```
/// use go_runtime::signal::{SIGINT, SIGTERM, Signal};
///
/// assert_eq!(SIGINT.to_string(), "interrupt");
/// assert_eq!(format!("{SIGTERM:?}"), "SIGTERM");
/// assert_eq!(Signal::from_raw(15), SIGTERM);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

impl Signal {
    /// Returns the signal with this number, which need not exist.
    #[must_use]
    pub const fn from_raw(number: i32) -> Signal {
        Signal(number)
    }

    /// Returns the system's number of the signal.
    ///
    /// ```
    /// assert_eq!(go_runtime::signal::SIGTERM.as_raw(), 15);
    /// ```
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    fn known(self) -> Option<&'static Known> {
        KNOWN.iter().find(|known| known.signal == self)
    }

    /// Checks that the signal can be caught.
    ///
    /// # Errors
    /// `InvalidInput` if it cannot be caught.
    pub(super) fn check(self) -> io::Result<()> {
        let reason = match self.known() {
            None => {
                "the system has no such signal that could be caught by a program, or it has no \
                 name here"
            }
            Some(_) if self == SIGKILL || self == SIGSTOP => {
                "the system carries it out by itself, and no program can catch it"
            }
            Some(_) if [SIGSEGV, SIGBUS, SIGILL, SIGFPE].contains(&self) => {
                "it is a fault of the program, which cannot go on after it"
            }
            Some(_) => return Ok(()),
        };
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("signal::notify: {self:?} ({self}): {reason}: leave it out"),
        ))
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(known) => f.pad(known.description),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(known) => f.pad(known.name),
            None => write!(f, "Signal({})", self.0),
        }
    }
}

struct Known {
    signal: Signal,
    name: &'static str,
    description: &'static str,
}

macro_rules! signals {
    ($($name:ident $description:literal $doc:literal,)*) => {
        $(
            #[doc = $doc]
            pub const $name: Signal = Signal(libc::$name);
        )*
        const KNOWN: &[Known] = &[$(Known {
            signal: $name,
            name: stringify!($name),
            description: $description,
        }),*];
    };
}

// The descriptions are those of Go's package `syscall`, for Linux.
signals! {
    SIGHUP "hangup" "The terminal was closed; daemons take it for a request to reload their \
                     settings.",
    SIGINT "interrupt" "Ctrl-C.",
    SIGQUIT "quit" "Ctrl-\\.",
    SIGILL "illegal instruction" "A fault; cannot be caught here.",
    SIGTRAP "trace/breakpoint trap" "A breakpoint was hit.",
    SIGABRT "aborted" "`abort` was called; catching it does not prevent the end of the program.",
    SIGBUS "bus error" "A fault; cannot be caught here.",
    SIGFPE "floating point exception" "A fault; cannot be caught here.",
    SIGKILL "killed" "Ends the process at once; cannot be caught.",
    SIGUSR1 "user defined signal 1" "Has the meaning that the program gives it.",
    SIGSEGV "segmentation fault" "A fault; cannot be caught here.",
    SIGUSR2 "user defined signal 2" "Has the meaning that the program gives it.",
    SIGPIPE "broken pipe" "A write found no reader. Rust programs ignore the signal and get an \
                           error from the write.",
    SIGALRM "alarm clock" "The time set by `alarm` has passed.",
    SIGTERM "terminated" "A request to end the program.",
    SIGCHLD "child exited" "A child process has ended or stopped. Ignored by default.",
    SIGCONT "continued" "The process continues after a stop, whether this is caught or not.",
    SIGSTOP "stopped (signal)" "Stops the process at once; cannot be caught.",
    SIGTSTP "stopped" "Ctrl-Z.",
    SIGTTIN "stopped (tty input)" "A read from the terminal in the background.",
    SIGTTOU "stopped (tty output)" "A write to the terminal in the background.",
    SIGURG "urgent I/O condition" "Urgent data on a socket. Ignored by default.",
    SIGXCPU "CPU time limit exceeded" "The limit on CPU time is reached.",
    SIGXFSZ "file size limit exceeded" "The limit on the size of a file is reached.",
    SIGVTALRM "virtual timer expired" "A timer of the process's CPU time has expired.",
    SIGPROF "profiling timer expired" "A profiler's timer has expired.",
    SIGWINCH "window changed" "The terminal's size has changed. Ignored by default.",
    SIGIO "I/O possible" "A file descriptor is ready.",
    SIGSYS "bad system call" "A system call does not exist.",
}
