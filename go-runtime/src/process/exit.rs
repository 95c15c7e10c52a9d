//! The end of the process.

use std::process;
use std::thread;

use crate::sched::Worker;
use crate::wait::park_forever;

/// Ends the process with an exit code, from any goroutine or thread: [`std::process::exit`] for
/// goroutines.
///
/// As with std's function, no destructor of a value on any stack runs; the standard output is
/// flushed, and then the handlers run that C libraries have registered (`atexit`). They run on a
/// thread that is created for that. Other goroutines continue until the process is gone, as other
/// threads do with std's function; the calling goroutine waits.
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
/// thread-locals. In a goroutine that thread is a worker, and its thread-locals belong to all
/// goroutines of that worker; some of these may be parked while they borrow from one. During these
/// destructors an operation that would park a goroutine blocks the worker's thread: a destructor
/// that waits for another goroutine of that worker waits forever, and the process does not end.
/// With this function the destructors of a worker's thread-locals never run. On a thread that is no
/// worker this *is* std's function.
///
/// If the system cannot create the thread, the standard output is flushed and the process ends at
/// once, without the handlers.
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
    // If the flush fails, nothing more can be done.
    let _ = std::io::Write::flush(&mut std::io::stdout());
    #[cfg(unix)]
    // SAFETY: `_exit` has no preconditions: it ends the process without running any code of it.
    unsafe {
        libc::_exit(code)
    }
    #[cfg(not(unix))]
    {
        let _ = code;
        process::abort()
    }
}
