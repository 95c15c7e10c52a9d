//! Settings in code ([`Config`]), and the error if the runtime does not start with them.

use std::error::Error;
use std::fmt;
use std::panic::Location;

/// Settings for the runtime, to [`start`](Config::start) it with before its first use.
///
/// A program with [`#[go_runtime::main]`](macro@crate::main) gives them there:
/// `#[go_runtime::main(workers = 2)]`.
///
/// A setting in code takes precedence over its [environment variable](crate#settings), which then
/// is not read. It is the same in Go, where `runtime.GOMAXPROCS(n)` takes precedence over the
/// variable, and in std with `RUST_MIN_STACK`. A setting that is not made here has the value of its
/// variable, or else the default. So leave out the settings that users of the program should be
/// able to choose, or make them only where the variable is missing.
///
/// ```
/// use go_runtime::{Config, StartError, go, gomaxprocs};
///
/// fn main() -> Result<(), StartError> {
///     let mut config = Config::new().stack_size(64 << 10);
///     if std::env::var_os("GOMAXPROCS").is_none() {
///         config = config.workers(2);
///     }
///     config.start()?;
///     # if std::env::var_os("GOMAXPROCS").is_none() {
///     assert_eq!(gomaxprocs(), 2);
///     # }
///     assert_eq!(go!({ 6 * 7 }).join().unwrap(), 42);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "settings do nothing until `start` is called"]
pub struct Config {
    pub(crate) workers: Option<usize>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) blocking_threads: Option<usize>,
}

impl Config {
    /// Makes settings that leave everything to the environment variables and the defaults.
    pub fn new() -> Config {
        Config::default()
    }

    /// Sets the number of workers, from 1 to 1,024, instead of `GOMAXPROCS`.
    pub fn workers(mut self, n: usize) -> Config {
        self.workers = Some(n);
        self
    }

    /// Sets the default size of a goroutine's stack in bytes, from 32 KiB to 1 GiB, rounded up to a
    /// power of two, instead of `GOSTACK`.
    pub fn stack_size(mut self, bytes: usize) -> Config {
        self.stack_size = Some(bytes);
        self
    }

    /// Sets the maximum number of threads for [`blocking`](crate::blocking) calls, and as many for
    /// goroutines with a [thread](crate::Builder::thread) of their own, from 1 to 32,000, instead
    /// of `GOBLOCKING`.
    pub fn blocking_threads(mut self, n: usize) -> Config {
        self.blocking_threads = Some(n);
        self
    }
}

/// The error if the runtime did not start, or not with these settings. Its text says what to do.
#[derive(Clone, PartialEq, Eq)]
pub struct StartError(Reason);

#[derive(Clone, PartialEq, Eq)]
enum Reason {
    Failed(String),
    Started(&'static Location<'static>),
}

impl StartError {
    pub(crate) fn new(text: String) -> StartError {
        StartError(Reason::Failed(text))
    }

    pub(crate) fn already_started(at: &'static Location<'static>) -> StartError {
        StartError(Reason::Started(at))
    }

    /// Returns the call that started the runtime, if the reason is that it has been started
    /// already.
    ///
    /// (Where that was the first use of a socket on a plain thread, the place is in this crate.)
    #[must_use]
    pub fn started_at(&self) -> Option<&'static Location<'static>> {
        match self.0 {
            Reason::Started(at) => Some(at),
            Reason::Failed(_) => None,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Failed(text) => f.write_str(text),
            Reason::Started(at) => write!(
                f,
                "the runtime has been started already, by the call at {at}: call Config::start \
                 before it, or, if that is #[go_runtime::main], give it the settings: \
                 #[go_runtime::main(workers = 2)]. (A process has one runtime. All tests of a \
                 program share it: set the variables for them, as in GOMAXPROCS=2 cargo test.)"
            ),
        }
    }
}

/// Formats the error as [`Display`](fmt::Display) does, for a `main` that returns it.
impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for StartError {}
