//! `#[go_runtime::main]`: the program's `main` as a goroutine.

use std::any::Any;
#[cfg(target_os = "linux")]
use std::panic::Location;
use std::panic::{self, AssertUnwindSafe};
use std::process::{ExitCode, Termination};
#[cfg(target_os = "linux")]
use std::sync::OnceLock;

use super::builder::Builder;
use super::panic_report;
use crate::config::Config;
#[cfg(target_os = "linux")]
use crate::debug::{
    self,
    traceback::{self, Failed},
};
use crate::sched::global;
use crate::stack;
use crate::wait::threads;

/// Types that `main` may return.
#[diagnostic::on_unimplemented(
    message = "`main` cannot return `{Self}`",
    label = "no exit code can be made of this type",
    note = "`main` returns nothing, a `Result<(), E>` whose `E` is `Debug`, a \
            `std::process::ExitCode`, or another type that is `std::process::Termination`"
)]
#[doc(hidden)]
pub trait MainResult: Termination + 'static {}

#[diagnostic::do_not_recommend]
impl<R: Termination + 'static> MainResult for R {}

/// Runs `main` as a goroutine named "main", waits for it, and returns its exit code.
///
/// The program's first thread calls this. A panic of the goroutine goes on in that thread, so that
/// the exit code is Rust's own, 101.
#[doc(hidden)]
#[track_caller]
pub fn run_main<R: MainResult>(main: fn() -> R, config: Config) -> ExitCode {
    // If the runtime runs already, as it may in tests, `main` still becomes a goroutine, unless it
    // asks for other settings.
    let started = if config == Config::new() || global::runs_with(&config) {
        Ok(())
    } else {
        config.start()
    };
    // A closure would hide the caller's location, which is recorded as the place where the runtime
    // was started.
    let runtime = match started {
        Ok(()) => global::try_get(),
        Err(error) => Err(error),
    };
    let stack_size = match runtime {
        Ok(runtime) => runtime.default_stack_size().max(stack::MAIN_SIZE),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    #[cfg(target_os = "linux")]
    debug::dump_on_quit();
    #[cfg(target_os = "linux")]
    let _ = SPAWNED_AT.set(Location::caller());
    let builder = Builder::new().name("main").stack_size(stack_size);
    // The value that `main` returns need not be `Send`: the goroutine itself turns it into an exit
    // code, and prints an error.
    match builder.spawn(move || catch(|| main().report())) {
        Ok(handle) => match threads::wait_unlisted(|| handle.join()) {
            Ok(Ok(code)) => code,
            Ok(Err(panic)) => panic.go_on(),
            Err(payload) => panic::resume_unwind(payload),
        },
        Err(error) => {
            eprintln!("error: cannot start the main goroutine: {error}");
            ExitCode::from(2)
        }
    }
}

/// Where `main` is spawned: the call of `run_main`.
#[cfg(target_os = "linux")]
static SPAWNED_AT: OnceLock<&'static Location<'static>> = OnceLock::new();

/// Returns whether a goroutine that was spawned there under that name is the program's `main`.
#[cfg(target_os = "linux")]
pub(crate) fn is_main(spawned_at: &Location<'_>, name: Option<&str>) -> bool {
    name == Some("main") && SPAWNED_AT.get().is_some_and(|site| *site == spawned_at)
}

/// A panic that has left `main`.
struct MainPanic {
    payload: Box<dyn Any + Send>,
    #[cfg(target_os = "linux")]
    failed: Option<Failed>,
}

/// Runs `main`, in its goroutine, and catches its panic.
fn catch<R>(main: impl FnOnce() -> R) -> Result<R, MainPanic> {
    panic_report::watch_this();
    // As in `Job::run`, the state of the panicked goroutine is gone.
    panic::catch_unwind(AssertUnwindSafe(main)).map_err(|payload| MainPanic {
        payload,
        #[cfg(target_os = "linux")]
        failed: Failed::this(),
    })
}

impl MainPanic {
    /// Lets the panic go on in the calling thread. If that is the program's first thread, the
    /// process ends, and says what `GOTRACEBACK` asks for. (In a test another thread calls this, as
    /// a rule, and the process goes on.)
    fn go_on(self) -> ! {
        #[cfg(target_os = "linux")]
        if is_first_thread() {
            traceback::after_panic(self.failed.as_ref(), panic_report::has_reported());
        }
        panic::resume_unwind(self.payload)
    }
}

#[cfg(target_os = "linux")]
fn is_first_thread() -> bool {
    // SAFETY: the calls have no preconditions.
    unsafe { libc::gettid() == libc::getpid() }
}
