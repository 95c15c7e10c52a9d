//! Time for goroutines: sleeping, timers, tickers, functions that run later.
//!
//! | | |
//! |---|---|
//! | [`sleep`], [`sleep_until`] | wait |
//! | [`after`], [`at`], [`Timer`] | one message on a channel, for a `select!`; a timer's moment can be changed |
//! | [`tick`], [`Ticker`] | one every so often; a ticker may be changed, and keeps in step |
//! | [`after_func`] | a function in a goroutine of its own, later |
//! | [`timeout`] | a limit on the time of a function that looks at a done channel |
//!
//! A moment beyond what [`Instant`] can express (`Duration::MAX` from now, say) never comes. A
//! moment that has passed counts as now.
//!
//! A waiting goroutine goes on as soon as its worker is free after the time: some 60 us late if the
//! worker sleeps (the system's timer slack), and later if other goroutines run on that worker. A
//! goroutine that [`after_func`] starts is not tied to a worker: if a goroutine holds the worker
//! that keeps its time, it starts on another worker.

mod after_func;
mod ticker;
mod timeout;
mod timer;

use std::time::{Duration, Instant};

pub use self::after_func::{AfterFunc, after_func, after_func_at};
pub use self::ticker::Ticker;
pub use self::timeout::{TimedOut, timeout};
pub use self::timer::Timer;
pub use crate::channel::{after, at, tick};
use crate::clock;
use crate::wait::{self, WaitReason};

/// Waits for `duration`. A goroutine parks, and a plain thread blocks.
///
/// With a duration that reaches beyond what [`Instant`] can express it waits for ever. A goroutine
/// goes on as soon as its worker is free after that time.
///
/// ```
/// use std::time::{Duration, Instant};
/// use go_runtime::{go, time};
///
/// let start = Instant::now();
/// go! { time::sleep(Duration::from_millis(5)) }.join().unwrap();
/// assert!(start.elapsed() >= Duration::from_millis(5));
/// ```
pub fn sleep(duration: Duration) {
    wait::sleep_until(WaitReason::Sleep, clock::after(duration));
}

/// Waits until `when`, as [`sleep`] does. If that moment has passed it does not wait.
///
/// ```
/// use std::time::{Duration, Instant};
/// use go_runtime::time;
///
/// let end = Instant::now() + Duration::from_millis(1);
/// time::sleep_until(end);
/// assert!(Instant::now() >= end);
/// ```
pub fn sleep_until(when: Instant) {
    wait::sleep_until(WaitReason::Sleep, Some(when));
}
