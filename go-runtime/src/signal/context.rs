//! Contexts that signals end.

use std::error::Error;
use std::fmt;
use std::io;

use super::delivery::{self, Listener};
use super::{Signal, check};
use crate::context::{Cancel, Context};

/// Derives a context that also ends when one of these signals comes; its [`cause`](Context::cause)
/// is then a [`SignalError`]. Go's `signal.NotifyContext`.
///
/// The signals are caught until the [`Cancel`] is used or dropped, or `ctx` ends, or nobody has the
/// context any more, and not just until the first has come. So a program that takes its time to end
/// should drop the `Cancel` as soon as it knows: then a second Ctrl-C ends it at once.
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
/// As [`notify`](super::notify).
pub fn notify_context(ctx: &Context, signals: &[Signal]) -> io::Result<(Context, Cancel)> {
    check(signals)?;
    // Two contexts: a signal ends the inner one only, so that it can be seen when the outer one is
    // let go.
    let (outer, cancel) = ctx.with_cancel();
    let (inner, end) = outer.with_cancel_cause();
    let listener = Listener::Context {
        // (It does not keep the context: one that nobody has any more lets go as well.)
        end: end.downgrade(),
        released: outer.done().clone(),
    };
    delivery::subscribe(signals, listener)?;
    Ok((inner, cancel))
}

/// What a context of [`notify_context`] has ended for: a signal.
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
    /// The one that came first.
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
