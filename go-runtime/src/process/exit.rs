//! The end of the process.

use std::process;
use std::thread;

use crate::goroutine::park_forever;
use crate::sched::Worker;

/// Ends the process with an exit code, from anywhere: [`std::process::exit`] for goroutines.
///
/// As with std's, no destructor of a value on any stack runs, the standard output is flushed, and
/// then the handlers that C libraries have registered (`atexit`) run. They do so on a thread made
/// for that. Other goroutines go on until the process is gone, as other threads do with std's; the
/// calling goroutine waits.
///
/// ```no_run
/// use go_runtime::{go, process};
///
/// go! {
///     eprintln!("the configuration cannot be read");
///     process::exit(2)
/// };
/// ```
///
/// # Why not std's
/// On Linux with glibc, [`std::process::exit`] first runs the destructors of the calling thread's
/// thread-locals. In a goroutine that thread is a worker's, and its thread-locals belong to all
/// goroutines of that worker, some of which may be parked while they borrow from one. So from the
/// first of these destructors on, what would park a goroutine blocks the worker's thread: a
/// destructor that waits for another goroutine of that worker waits for ever, and the process does
/// not end. Here the destructors of a worker's thread-locals never run. On a thread that is no
/// worker this *is* std's.
///
/// If the system has no thread for it, the standard output is flushed and the process ends at once,
/// without the handlers.
pub fn exit(code: i32) -> ! {
    if Worker::current().is_none() {
        process::exit(code);
    }
    let exiting = thread::Builder::new()
        .name("go-exit".to_owned())
        .spawn(move || process::exit(code));
    if exiting.is_err() {
        end_at_once(code);
    }
    park_forever()
}

#[cold]
fn end_at_once(code: i32) -> ! {
    // Nothing can be done if it fails.
    let _ = std::io::Write::flush(&mut std::io::stdout());
    #[cfg(unix)]
    // SAFETY: ends the process, and touches nothing of it.
    unsafe {
        libc::_exit(code)
    }
    #[cfg(not(unix))]
    {
        let _ = code;
        process::abort()
    }
}
