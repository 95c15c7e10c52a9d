//! Go's `time.AfterFunc`.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::clock;
use crate::goroutine::DelayedSpawn;

/// Starts a goroutine that runs `f` after `duration`. Go's `time.AfterFunc`.
///
/// Until then there is no goroutine and no stack: a pending call takes some 200 bytes and the
/// captures of `f`. Dropping the returned handle changes nothing; [`stop`](AfterFunc::stop) cancels
/// the start. A duration of 0 starts the goroutine at once. A duration that reaches beyond what
/// [`Instant`] can express never starts it.
///
/// `f` is called once. (In Go a timer that has run its function runs it again after a `Reset`: call
/// `after_func` again.) A panic of `f` ends its goroutine only, and the panic hook reports it.
///
/// # Panics
/// Where [`spawn`](crate::spawn) panics.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::{channel::bounded, time::after_func};
///
/// let (stop, done) = bounded::<()>(0);
/// after_func(Duration::from_millis(1), move || drop(stop));
/// assert!(done.recv().is_err()); // closed by now
/// ```
#[track_caller]
pub fn after_func<F>(duration: Duration, f: F) -> AfterFunc
where
    F: FnOnce() + Send + 'static,
{
    made(DelayedSpawn::new(clock::after(duration), f))
}

/// Starts a goroutine that runs `f` at the moment `when`, or at once if that has passed.
///
/// # Panics
/// Where [`spawn`](crate::spawn) panics.
#[track_caller]
pub fn after_func_at<F>(when: Instant, f: F) -> AfterFunc
where
    F: FnOnce() + Send + 'static,
{
    made(DelayedSpawn::new(Some(when), f))
}

#[track_caller]
fn made(delayed: io::Result<DelayedSpawn>) -> AfterFunc {
    match delayed {
        Ok(delayed) => AfterFunc(delayed),
        Err(error) => panic!("cannot spawn a goroutine: {error}"),
    }
}

/// A handle to a function that is to run later, which can cancel or postpone the call.
/// [`after_func`] and [`after_func_at`] return it.
pub struct AfterFunc(DelayedSpawn);

impl AfterFunc {
    /// Cancels the call. Returns whether the function was still to be called: `false` means that
    /// its goroutine had started, and may still run, or that the call had been canceled before.
    ///
    /// The captures of a function that is not called are dropped with this handle.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::time::after_func;
    ///
    /// let late = after_func(Duration::from_secs(3600), || unreachable!());
    /// assert!(late.stop());
    /// assert!(!late.stop());
    /// ```
    pub fn stop(&self) -> bool {
        self.0.stop()
    }

    /// Makes the function run after `duration` from now instead, even if the call has been
    /// canceled. Returns `false` if the function has been started already: it does not run again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::{channel::bounded, time::after_func};
    ///
    /// let (tx, rx) = bounded(1);
    /// let late = after_func(Duration::from_secs(3600), move || tx.send("now").unwrap());
    /// assert!(late.reset(Duration::ZERO));
    /// assert_eq!(rx.recv(), Ok("now"));
    /// assert!(!late.reset(Duration::ZERO));
    /// ```
    pub fn reset(&self, duration: Duration) -> bool {
        self.0.reset(clock::after(duration))
    }
}

impl fmt::Debug for AfterFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("AfterFunc { .. }")
    }
}
