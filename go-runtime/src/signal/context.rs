//! Contexts that end when a signal arrives.

use std::error::Error;
use std::fmt;
use std::io;

use super::delivery::{self, Listener};
use super::{Signal, check};
use crate::context::{Cancel, Context};

/// Derives a context that also ends when one of these signals arrives; its
/// [`cause`](Context::cause) is then a [`SignalError`]. Go's `signal.NotifyContext`.
///
/// The signals are caught until the [`Cancel`] is used or dropped, `ctx` ends, or the last
/// reference to the context is dropped, and not just until the first signal. So a program that
/// takes time to shut down should drop the `Cancel` when its shutdown begins: a second Ctrl-C then
/// ends it at once.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::{channel::after, context, select};
/// use go_runtime::signal::{SIGINT, SIGTERM, notify_context};
///
/// let (ctx, stop) = notify_context(&context::background(), &[SIGINT, SIGTERM])?;
/// select! {
///     // "interrupt signal received"
///     recv(ctx.done()) -> _ => println!("{}", ctx.cause().unwrap()),
///     recv(after(Duration::from_millis(1))) -> _ => println!("the work is done"),
/// }
/// drop(stop);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The errors of [`notify`](super::notify).
pub fn notify_context(ctx: &Context, signals: &[Signal]) -> io::Result<(Context, Cancel)> {
    check(signals)?;
    // There are two contexts. A signal ends only the inner one, so the end of the outer one shows
    // that the user released the signals.
    let (outer, cancel) = ctx.with_cancel();
    let (inner, end) = outer.with_cancel_cause();
    let listener = Listener::Context {
        // (A weak handle: a context without other references is dropped, and then releases the
        // signals.)
        end: end.downgrade(),
        released: outer.done().clone(),
    };
    delivery::subscribe(signals, listener)?;
    Ok((inner, cancel))
}

/// The cause of a context of [`notify_context`] that ended because a signal arrived.
///
/// ```
/// use go_runtime::{context, signal::{Signal, SignalError}};
///
/// fn ended_by(ctx: &context::Context) -> Option<Signal> {
///     let cause = ctx.cause()?;
///     Some(cause.downcast_ref::<SignalError>()?.signal())
/// }
/// assert_eq!(ended_by(&context::background()), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalError {
    pub(super) signal: Signal,
}

impl SignalError {
    /// Returns the signal that arrived first.
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.signal
    }
}

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} signal received", self.signal)
    }
}

impl Error for SignalError {}
