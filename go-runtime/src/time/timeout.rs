//! [`timeout`]: a limit on the time of a function that watches a done channel.

use std::error::Error;
use std::fmt;
use std::panic;
use std::time::Duration;

use crate::channel::{Receiver, RecvTimeoutError, bounded};
use crate::goroutine;

/// The error of [`timeout`] and [`WaitGroup::wait_timeout`](crate::sync::WaitGroup::wait_timeout)
/// when the time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

impl Error for TimedOut {}

/// Runs `f` in a goroutine of its own, and waits for its result, but for no longer than `duration`.
///
/// The goroutine is not killed: when the time is over, `done` is closed and `timeout` returns. `f`
/// goes on until it sees that `done` is closed, so it should receive from `done` in every
/// [`select!`](crate::select) that it waits in. A result that comes too late is dropped. Since `f`
/// may outlive the call, it must own its captures (`'static`). For a chain of calls that all have
/// to stop in time use [`Context::with_timeout`](crate::context::Context::with_timeout).
///
/// # Errors
/// If `f` has not returned in time. With a duration of 0 this is an error unless `f` returned
/// before the first check; a duration beyond what [`Instant`](std::time::Instant) can express is no
/// limit.
///
/// # Panics
/// With the panic of `f`, if that came in time; a later panic is only reported. Also where
/// [`spawn`](crate::spawn) panics.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::{channel::never, select, time::timeout};
///
/// let quick = timeout(Duration::from_secs(60), |_done| 6 * 7);
/// assert_eq!(quick, Ok(42));
///
/// let slow = timeout(Duration::from_millis(1), |done| {
///     select! {
///         recv(never::<i32>()) -> answer => answer.ok(),
///         recv(done) -> _ => None,
///     }
/// });
/// assert!(slow.is_err());
/// ```
#[track_caller]
pub fn timeout<F, T>(duration: Duration, f: F) -> Result<T, TimedOut>
where
    F: FnOnce(Receiver<()>) -> T + Send + 'static,
    T: Send + 'static,
{
    let (stop, done) = bounded::<()>(0);
    let (ended, end) = bounded::<()>(0);
    let running = goroutine::spawn(move || {
        let _ended = ended;
        f(done)
    });
    match end.recv_timeout(duration) {
        Err(RecvTimeoutError::Timeout) if !running.is_finished() => {
            drop(stop);
            Err(TimedOut)
        }
        Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            match running.join() {
                Ok(result) => Ok(result),
                Err(payload) => panic::resume_unwind(payload),
            }
        }
    }
}
