//! Go's `time.AfterFunc`.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::clock;
use crate::goroutine::DelayedSpawn;

/// Starts a goroutine that runs `f` after `duration`. Go's `time.AfterFunc`.
///
/// Until then there is no goroutine, and no stack: a pending one takes some 200 bytes and what `f`
/// holds. Dropping what is returned changes nothing; [`stop`](AfterFunc::stop) calls it off. A
/// duration of 0 starts it at once; one that reaches beyond what [`Instant`] can express, never.
///
/// `f` is called once. (In Go a timer that has run its function runs it again after a `Reset`: call
/// `after_func` again.) Its panic ends its goroutine only, and is reported by the panic hook.
///
/// # Panics
/// As [`spawn`](crate::spawn).
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

/// [`after_func`] at a moment; one that has passed means at once.
///
/// # Panics
/// As [`spawn`](crate::spawn).
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

/// Made by [`after_func`]: the right to call it off, or to put it off.
pub struct AfterFunc(DelayedSpawn);

impl AfterFunc {
    /// Calls it off. `true`: this call has kept the function from running. `false`: it has been
    /// started, and perhaps still runs, or had been stopped before.
    ///
    /// What the function holds is dropped with this handle.
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

    /// Has it run after `duration` from now instead, also if it had been stopped. `false`: it has
    /// been started already, and does not run again.
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
