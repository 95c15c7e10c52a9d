//! The runtime in a forked child process, where of all its threads only the one that called `fork`
//! goes on.
//!
//! A handler, which the system runs in the child before `fork` returns there, clears the references
//! to the runtime and to the thread's worker. So the goroutine that called `fork` goes on as a
//! plain thread, which blocks where a goroutine would park. All other goroutines go on in the
//! parent only. The slow path of [`global::get`](super::global::get) then says why there is no
//! runtime. A child that calls `exec` (as `std::process::Command` does) is not affected.

use std::io::{self, Write};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(unix)]
use super::recording;
use super::worker::Worker;
use crate::config::StartError;

static FORKED: AtomicBool = AtomicBool::new(false);

/// Makes the calling thread a plain thread. The system calls this in the child, before `fork`
/// returns there.
#[cfg(unix)]
pub(super) fn note_forked() {
    FORKED.store(true, Ordering::Relaxed);
    recording::forget();
    Worker::leave_thread();
}

/// Returns whether the runtime may be started or used.
///
/// # Errors
/// This is a child that was forked after the runtime's start.
pub(crate) fn check() -> Result<(), StartError> {
    if FORKED.load(Ordering::Relaxed) {
        return Err(StartError::new(
            "this process was forked from one that runs goroutines, and has none of its threads: \
             call exec after fork, as std::process::Command does, or fork before the first \
             goroutine"
                .into(),
        ));
    }
    Ok(())
}

/// Reports, once in a forked child, that its thread blocks without a time limit, while no goroutine
/// is left that could wake it.
pub(crate) fn note_endless_wait() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if FORKED.load(Ordering::Relaxed) && !SAID.swap(true, Ordering::Relaxed) {
        say(
            "go-runtime: a forked child process waits, and no goroutine runs in it that could end \
             the wait: call exec after fork, or fork before the first goroutine\n",
        );
    }
}

/// Ends the process if this is the child of a goroutine that called `fork`. Called when a goroutine
/// has ended on a thread that has no worker any more.
pub(crate) fn end_if_child() {
    if !FORKED.load(Ordering::Relaxed) {
        return;
    }
    say(
        "go-runtime: in a forked child process the goroutine that called fork has returned, and \
         no other goroutine runs there: end the child with _exit, or call exec\n",
    );
    process::abort();
}

fn say(text: &str) {
    // If standard error is closed, nothing can be said.
    let _ = io::stderr().write_all(text.as_bytes());
}
