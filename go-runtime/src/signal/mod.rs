//! Signals of the operating system, as messages: Go's `os/signal`. On Unix only.
//!
//! [`notify`] gives a channel on which the signals come that the process is sent; with
//! [`select!`](crate::select) they are waited for like anything else.
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
use crate::channel::{self, Receiver};

/// How many signals a channel holds.
const CAPACITY: usize = 64;

/// Has these signals come as messages, in place of what they do otherwise.
///
/// Each call has a channel of its own, and a signal comes on all that ask for it. Clones of one
/// receiver share its messages, as they always do. Nobody waits for a receiver that is slow: its
/// channel holds 64 signals, and those that find it full are dropped, as in Go. A signal that is
/// sent again before the last one has been seen may come once only; so it is with signals in
/// general.
///
/// When the receiver is dropped, with all its clones, it is over. A signal that nobody asks for any
/// more does what it did before: ends the program, as a rule. (But if a handler of somebody else's,
/// or none at all (`SIG_IGN`), was installed when it was first asked for here, then just that.)
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
/// `InvalidInput` if there is no signal in the list, or one that there is not, or that cannot be
/// caught: `SIGKILL`, `SIGSTOP`, and the faults of a program, `SIGSEGV`, `SIGBUS`, `SIGILL` and
/// `SIGFPE`. Or else what the system says if there is no thread to be had for the delivery, or no
/// file descriptor. After an error everything is as it was.
pub fn notify(signals: &[Signal]) -> io::Result<Receiver<Signal>> {
    check(signals)?;
    let (sender, receiver) = channel::bounded(CAPACITY);
    delivery::subscribe(signals, Listener::Channel(sender))?;
    Ok(receiver)
}

/// # Errors
/// If there is nothing to be caught, or something that cannot be.
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
