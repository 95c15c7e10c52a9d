//! What is written to standard error: a dump when a signal arrives, and the last words of a
//! process.
//!
//! A thread of its own writes each message ([`write_elsewhere`]), since standard error may be a
//! pipe that no process reads. One writes at a time, and one more may wait; what comes meanwhile is
//! left out, because the dump of the waiting thread will show it. Any thread may write, but no
//! signal handler.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
#[cfg(target_os = "linux")]
use std::time::Duration;

use super::dump::{DumpOptions, Except, dump_others};
use crate::primitives::mutex::lock;
use crate::primitives::uncaptured;
#[cfg(target_os = "linux")]
use crate::sched::global;
#[cfg(target_os = "linux")]
use crate::settings::Traceback;
use crate::signal::{self, Signal};

/// How long the end of a process waits for its last dump to be written.
#[cfg(target_os = "linux")]
const LONGEST_WRITE: Duration = Duration::from_secs(10);

/// The signals that [`dump_on`] has been called for: a bit for each number.
static SIGNALS: AtomicU64 = AtomicU64::new(0);

/// Writes a [`dump`](super::dump()) to standard error whenever the signal arrives, and lets the
/// program go on. Another call for the same signal changes nothing.
///
/// Channels of [`notify`](signal::notify) get the signal as well. (Under
/// [`#[go_runtime::main]`](macro@crate::main) SIGQUIT writes a dump without this call, and ends the
/// program, as in Go.)
///
/// The dump is written by a thread of its own, so it comes also if goroutines hold all workers. If
/// the signal comes faster than dumps can be written, some are left out.
///
/// ```
/// use go_runtime::debug::dump_on;
/// use go_runtime::signal::SIGUSR1;
///
/// dump_on(SIGUSR1)?; // kill -USR1 writes a dump from now on
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// If the signal cannot be caught; or the system's error, if it cannot make the thread.
pub fn dump_on(signal: Signal) -> io::Result<()> {
    let bit = 1_u64.checked_shl(signal.as_raw().cast_unsigned());
    let bit = bit.unwrap_or_default();
    if SIGNALS.load(Ordering::SeqCst) & bit != 0 {
        return Ok(());
    }
    signal::on(signal, || {
        drop(write_elsewhere(Message::dump(String::new()), false));
    })?;
    SIGNALS.fetch_or(bit, Ordering::SeqCst);
    Ok(())
}

/// What is written to standard error.
pub(super) struct Message {
    /// The text that comes first, if there is any.
    text: String,
    /// Whether a dump follows.
    dump: bool,
    /// The goroutine that the dump leaves out.
    except: Option<Except>,
    end: AtEnd,
}

/// A function that is called when a message is written, or cannot be.
struct AtEnd(fn());

impl Drop for AtEnd {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Message {
    /// Some text, and a dump.
    pub(super) fn dump(text: String) -> Message {
        Message {
            text,
            dump: true,
            except: None,
            end: AtEnd(|| {}),
        }
    }

    /// Leaves this goroutine out of the dump.
    #[cfg(target_os = "linux")]
    pub(super) fn except(mut self, goroutine: Option<Except>) -> Message {
        self.except = goroutine;
        self
    }

    /// Calls `end` when the message is written, or cannot be.
    #[cfg(target_os = "linux")]
    pub(super) fn at_end(mut self, end: fn()) -> Message {
        self.end = AtEnd(end);
        self
    }

    fn write(&self) -> io::Result<()> {
        to_stderr(|mut stderr| {
            if !self.text.is_empty() {
                writeln!(stderr, "{}\n", self.text)?;
            }
            if self.dump {
                dump_others(&mut stderr, DumpOptions::new(), self.except)?;
            }
            Ok(())
        })
    }
}

/// Calls `write` for standard error.
pub(super) fn to_stderr(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // Not through std's `Stderr`, whose lock the program may hold, if there is another descriptor.
    let stderr: &mut dyn Write = match io::stderr().as_fd().try_clone_to_owned() {
        Ok(stderr) => &mut File::from(stderr),
        Err(_) => &mut io::stderr(),
    };
    let mut stderr = io::BufWriter::new(stderr);
    write(&mut stderr)?;
    stderr.flush()
}

/// Writes the message on a thread of its own, since standard error may be a pipe that no process
/// reads. Returns what tells when all is written. If messages are to be written faster than they
/// can be, some are left out; not the `last`.
pub(super) fn write_elsewhere(message: Message, last: bool) -> mpsc::Receiver<()> {
    /// Held by the thread that writes.
    static WRITES: Mutex<()> = Mutex::new(());
    /// Whether another thread waits to write, which will see all that has happened until then.
    static WAITS: AtomicBool = AtomicBool::new(false);
    let (end, ended) = mpsc::channel();
    if WAITS.swap(true, Ordering::SeqCst) && !last {
        return ended;
    }
    let write = move || {
        let _alone = lock(&WRITES);
        WAITS.store(false, Ordering::SeqCst);
        let _ = message.write();
        drop(message.end);
        let _ = end.send(());
    };
    let thread = thread::Builder::new().name("go-dump".into());
    if uncaptured::spawn(thread, write).is_err() {
        WAITS.store(false, Ordering::SeqCst);
    }
    ended
}

/// Writes the message, the last one before the process ends. Returns also if no process reads what
/// is written.
#[cfg(target_os = "linux")]
pub(super) fn write_last(message: Message) {
    let _ = write_elsewhere(message, true).recv_timeout(LONGEST_WRITE);
}

/// Writes the line and, unless `GOTRACEBACK=none`, all goroutines to standard error, and ends the
/// process with status 2, or as `GOTRACEBACK=crash` says; also if no process reads what is written.
#[cfg(target_os = "linux")]
pub(super) fn write_and_exit(line: &str) -> ! {
    let level = global::running().map_or(Traceback::Single, |runtime| runtime.traceback());
    write_last(Message {
        dump: level > Traceback::None,
        ..Message::dump(line.into())
    });
    if level == Traceback::Crash {
        // SAFETY: `abort` has no preconditions; it ends the process.
        unsafe { libc::abort() }
    }
    // SAFETY: `_exit` ends the process at once. Nothing else runs: functions of `atexit` could wait
    // for threads that wait themselves, or free what they use.
    unsafe { libc::_exit(2) }
}

/// Makes SIGQUIT write a dump and end the process with status 2, as in Go, unless the program
/// handles the signal itself.
#[cfg(target_os = "linux")]
pub(crate) fn dump_on_quit() {
    // Without memory or threads for it, SIGQUIT ends the process as it does elsewhere.
    let _ = signal::on_quit(|| write_and_exit("SIGQUIT: quit"));
}
