//! What is left of the runtime in a process that was forked: the thread that called `fork`, if it
//! was a worker's, and none of the others.
//!
//! The handler that the system runs in the child before `fork` returns there takes the thread's
//! worker away. So the goroutine that called `fork` goes on as a plain thread does, which blocks
//! where a goroutine parks, and no other goroutine goes on in both processes. The runtime is gone
//! from [`Runtime::get`](super::Runtime::get) too, whose slow path then says why. A child that
//! calls `exec` (as `std::process::Command` does) meets none of this.

use std::sync::atomic::{AtomicBool, Ordering};

use super::runtime;
use super::worker::Worker;
use crate::config::StartError;

static FORKED: AtomicBool = AtomicBool::new(false);

/// To be called before there is anything that a child could miss.
pub(super) fn prepare() {
    #[cfg(unix)]
    {
        // SAFETY: the handler writes a thread-local without a destructor and two atomics, which may
        // be done in the child of a process with many threads. If there is no memory for it, a
        // child is not told.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    }
}

#[cfg(unix)]
extern "C" fn in_child() {
    FORKED.store(true, Ordering::Relaxed);
    Worker::leave_thread();
    runtime::forget();
}

/// # Errors
/// In a child that was forked after the runtime's start.
pub(super) fn check() -> Result<(), StartError> {
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

/// Says, once in a forked child, that its thread blocks without a limit on the time: no goroutine
/// is there to wake it.
pub(crate) fn note_endless_wait() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if FORKED.load(Ordering::Relaxed) && !SAID.swap(true, Ordering::Relaxed) {
        say(
            "go-runtime: a forked child process waits, and no goroutine runs in it that could end \
             the wait: call exec after fork, or fork before the first goroutine\n",
        );
    }
}

/// Called where a goroutine has ended that has no worker to go on with: ends the process if this
/// is the child of a goroutine that called `fork`.
pub(crate) fn end_if_child() {
    if !FORKED.load(Ordering::Relaxed) {
        return;
    }
    say(
        "go-runtime: in a forked child process the goroutine that called fork has returned, and \
         no other goroutine runs there: end the child with _exit, or call exec\n",
    );
    std::process::abort();
}

fn say(text: &str) {
    use std::io::Write;
    // If standard error is closed, so be it.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
