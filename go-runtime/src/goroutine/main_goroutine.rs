//! `#[go_runtime::main]`: the program's `main` as a goroutine.

use std::panic;
use std::process::{ExitCode, Termination};

use super::builder::Builder;
use crate::sched::Runtime;

/// Runs `main` as a goroutine named "main", waits for it, and returns its exit code.
///
/// Called on the program's first thread. A panic goes on in that thread, so that the exit code is Rust's own, 101.
#[doc(hidden)]
#[track_caller]
pub fn run_main<R: Termination + 'static>(main: fn() -> R) -> ExitCode {
    if let Err(error) = Runtime::try_get() {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    // What `main` returns need not be `Send`: it is turned into an exit code, and its error printed, over there.
    match Builder::new().name("main").spawn(move || main().report()) {
        Ok(handle) => handle
            .join()
            .unwrap_or_else(|payload| panic::resume_unwind(payload)),
        Err(error) => {
            eprintln!("error: cannot start the main goroutine: {error}");
            ExitCode::from(2)
        }
    }
}
