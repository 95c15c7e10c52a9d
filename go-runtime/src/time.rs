//! Time for goroutines. Timed channels ([`after`](crate::channel::after), [`tick`](crate::channel::tick)) are in
//! [`channel`](crate::channel).

use std::time::Duration;

use crate::{clock, goroutine};

/// Waits for `duration`: it parks a goroutine, and blocks a plain thread.
///
/// A duration that reaches beyond what [`Instant`](std::time::Instant) can express means for ever. In a goroutine the
/// resolution is that of its worker: it goes on as soon as its worker is free after that time.
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
    goroutine::sleep_until(clock::after(duration));
}
