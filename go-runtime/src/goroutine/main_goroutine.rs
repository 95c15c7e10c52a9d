//! `#[go_runtime::main]`: the program's `main` as a goroutine.

use std::panic;
use std::process::{ExitCode, Termination};

use super::builder::Builder;
use crate::sched::Runtime;
use crate::stack;

/// Runs `main` as a goroutine named "main", waits for it, and returns its exit code.
///
/// Called on the program's first thread. A panic goes on in that thread, so that the exit code is Rust's own, 101.
#[doc(hidden)]
#[track_caller]
pub fn run_main<R: Termination + 'static>(main: fn() -> R) -> ExitCode {
    let stack_size = match Runtime::try_get() {
        Ok(runtime) => runtime.default_stack_size().max(stack::MAIN_SIZE),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let builder = Builder::new().name("main").stack_size(stack_size);
    // What `main` returns need not be `Send`: it is turned into an exit code, and its error printed, over there.
    match builder.spawn(move || main().report()) {
        Ok(handle) => handle
            .join()
            .unwrap_or_else(|payload| panic::resume_unwind(payload)),
        Err(error) => {
            eprintln!("error: cannot start the main goroutine: {error}");
            ExitCode::from(2)
        }
    }
}
