//! Signals of the operating system as messages: Go's `os/signal`. Available on Unix only.
//!
//! [`notify`] returns a channel of the signals that the process receives;
//! [`select!`](crate::select) waits for them as for any other message.
//!
//! ```
//! use go_runtime::{channel, go, select};
//! use go_runtime::signal::{SIGINT, SIGTERM, notify};
//!
//! let signals = notify(&[SIGINT, SIGTERM])?;
//! let (stop, done) = channel::bounded::<()>(0);
//! let server = go! {
//!     loop {
//!         select! {
//!             recv(signals) -> signal => {
//!                 println!("{}: ending", signal.unwrap());
//!                 break;
//!             }
//!             recv(done) -> _ => break,
//!         }
//!     }
//! };
//! drop(stop);
//! server.join().unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```

mod context;
mod delivery;
mod numbers;

use std::io;

pub use self::context::{SignalError, notify_context};
pub use self::numbers::*;

use self::delivery::Listener;
#[cfg(target_os = "linux")]
pub(crate) use self::delivery::{on_quit, threads, what_is_there};
use crate::channel::{self, Receiver};

/// Calls `f` whenever the signal arrives, on the thread that delivers signals, instead of the
/// signal's usual action.
pub(crate) fn on(signal: Signal, f: fn()) -> io::Result<()> {
    signal.check()?;
    delivery::subscribe(&[signal], Listener::Call(f))
}

/// Capacity of a signal channel.
const CAPACITY: usize = 64;

/// Delivers these signals as messages, instead of their usual action.
///
/// Each call has a channel of its own, and a signal is sent to every channel that asks for it.
/// Clones of one receiver share its messages, as they always do. Delivery never waits for a slow
/// receiver: its channel holds 64 signals, and a signal that finds it full is dropped, as in Go. A
/// signal that is sent again before the previous one has been handled may arrive only once; that is
/// so with signals in general.
///
/// Delivery ends when the receiver and all its clones are dropped. A signal that no channel asks
/// for any more does what it did before: it usually ends the program. (If another handler, or
/// `SIG_IGN`, was installed when the signal was first asked for here, then only that takes effect.)
///
/// ```
/// use go_runtime::signal::{SIGINT, SIGTERM, notify};
///
/// let signals = notify(&[SIGINT, SIGTERM])?;
/// // Now Ctrl-C does not end the program, but:
/// if let Ok(signal) = signals.try_recv() {
///     println!("{signal}: ending");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` if the list is empty, or contains a signal that does not exist or cannot be
/// caught: `SIGKILL`, `SIGSTOP`, and the faults `SIGSEGV`, `SIGBUS`, `SIGILL` and `SIGFPE`. The
/// system's error if it has no thread or no file descriptor for the delivery. After an error the
/// signals keep their previous actions.
pub fn notify(signals: &[Signal]) -> io::Result<Receiver<Signal>> {
    check(signals)?;
    let (sender, receiver) = channel::bounded(CAPACITY);
    delivery::subscribe(signals, Listener::Channel(sender))?;
    Ok(receiver)
}

/// Checks that the list is not empty, and that all its signals can be caught.
///
/// # Errors
/// If the list is empty, or has a signal that cannot be caught.
fn check(signals: &[Signal]) -> io::Result<()> {
    if signals.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "signal::notify: the list of signals is empty: name those that are to come, \
             notify(&[SIGINT, SIGTERM])",
        ));
    }
    signals.iter().try_for_each(|signal| signal.check())
}
