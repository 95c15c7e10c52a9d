//! What is written of the goroutines when a panic or a stack overflow ends the process
//! (`GOTRACEBACK`).
//!
//! The panic's message is std's, and its frames are (`RUST_BACKTRACE`). This module adds the
//! goroutine that has failed, and the others if the setting asks for them. Nothing here runs before
//! the process is about to end.

use std::io::{self, Write};

use super::dump::Except;
use super::on_signal::{Message, write_elsewhere, write_last};
use crate::sched::{Head, Worker, global, overflow};
use crate::settings::Traceback;

/// From now on the goroutines are written after a stack overflow, if the setting asks for them.
pub(crate) fn watch_for_overflows() {
    overflow::dump_with(|number| {
        let except = number.map(|number| Except {
            number,
            spawned_at: None,
        });
        let message = Message::dump(String::new()).except(except);
        // The monitor calls this, and must go on: it tells which workers are held.
        drop(write_elsewhere(message.at_end(overflow::note_dumped), true));
    });
}

/// A goroutine that has panicked.
pub(crate) struct Failed {
    /// The head of its entry in a dump.
    head: String,
    except: Option<Except>,
}

impl Failed {
    /// Returns the calling goroutine, if it is one of a worker.
    pub(crate) fn this() -> Option<Failed> {
        Head::with(Worker::current()?, |head| Failed {
            head: head.to_string(),
            except: head.number.map(|number| Except {
                number,
                spawned_at: Some(head.spawned_at),
            }),
        })
    }
}

/// Writes what the setting asks for after a panic of `main` that ends the process. If the program
/// has a panic hook of its own, the message of the panic is not `ours`.
pub(crate) fn after_panic(main: Option<&Failed>, ours: bool) {
    if ours || level() > Traceback::Single {
        write(main);
    }
    if level() == Traceback::Crash {
        // SAFETY: `abort` has no preconditions; it ends the process.
        unsafe { libc::abort() }
    }
}

/// Writes what the setting asks for in a panic hook, before the process aborts, of a program in
/// which panics abort.
pub(crate) fn before_abort() {
    write(Failed::this().as_ref());
}

/// Writes the goroutine that has failed, and the others, if the setting asks for them.
fn write(failed: Option<&Failed>) {
    let head = failed.map_or(String::new(), |failed| format!("\n{}", failed.head));
    match level() {
        Traceback::None => {}
        // If standard error is closed, there is no place to report that.
        Traceback::Single => drop(writeln!(io::stderr(), "{head}")),
        Traceback::All | Traceback::Crash => {
            let except = failed.and_then(|failed| failed.except);
            write_last(Message::dump(head).except(except));
        }
    }
}

fn level() -> Traceback {
    global::running().map_or(Traceback::None, |runtime| runtime.traceback())
}
