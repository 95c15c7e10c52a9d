//! Contexts that signals end.

use std::error::Error;
use std::fmt;
use std::io;

use super::{Signal, notify};
use crate::context::{Cancel, Context};
use crate::goroutine::Builder;
use crate::select;

/// Derives a context that also ends when one of these signals comes; its [`cause`](Context::cause) is then a [`SignalError`]. Go's
/// `signal.NotifyContext`.
///
/// The signals are caught until the [`Cancel`] is used or dropped, or `ctx` ends, or nobody has the context any more, and not just until the first has come. So a program that takes its
/// time to end should drop the `Cancel` as soon as it knows: then a second Ctrl-C ends it at once.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::{channel::after, context, select};
/// use go_runtime::signal::{SIGINT, SIGTERM, notify_context};
///
/// let (ctx, stop) = notify_context(&context::background(), &[SIGINT, SIGTERM])?;
/// select! {
///     recv(ctx.done()) -> _ => println!("{}", ctx.cause().unwrap()), // "interrupt signal received"
///     recv(after(Duration::from_millis(1))) -> _ => println!("the work is done"),
/// }
/// drop(stop);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// As [`notify`], and as [`Builder::spawn`], as a goroutine waits for the signals.
pub fn notify_context(ctx: &Context, signals: &[Signal]) -> io::Result<(Context, Cancel)> {
    let signals = notify(signals)?;
    // Two contexts: a signal ends the inner one only, so that it can be seen when the outer one is let go.
    let (outer, cancel) = ctx.with_cancel();
    let (inner, end) = outer.with_cancel_cause();
    let released = outer.done().clone();
    drop(outer);
    // (Not kept by the goroutine: a context that nobody has any more lets go as well.)
    let end = end.downgrade();
    Builder::new().name("notify_context").spawn(move || {
        select! {
            recv(signals) -> signal => if let Ok(signal) = signal {
                end.cancel(SignalError { signal });
            },
            recv(released) -> _ => return,
        }
        let _ = released.recv();
        drop(signals);
    })?;
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
    signal: Signal,
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
