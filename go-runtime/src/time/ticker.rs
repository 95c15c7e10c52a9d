//! Go's `time.Ticker`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::timer::timed_channel;
use crate::channel::Receiver;
use crate::channel::timer::TimerCore;
use crate::clock;

/// A message on a channel once in every period; the period may be changed. Go's `time.Ticker`.
///
/// The ticks stay in step: they come at whole periods from the start. A tick that no receiver takes
/// before the next is due is left out, as in Go. No background timer runs: a waiting receiver
/// computes its own deadline, so a ticker that is dropped or forgotten leaves nothing behind.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::time::Ticker;
///
/// let period = Duration::from_millis(1);
/// let ticker = Ticker::new(period);
/// let ticks: Vec<_> = ticker.channel().iter().take(3).collect();
/// assert!(ticks[2] - ticks[0] >= 2 * period);
/// ```
pub struct Ticker {
    core: Arc<TimerCore<Instant>>,
    channel: Receiver<Instant>,
}

impl Ticker {
    /// Makes a ticker whose channel has its first message after `period`.
    ///
    /// # Panics
    /// If `period` is 0, as Go's `NewTicker` does.
    #[must_use]
    #[track_caller]
    pub fn new(period: Duration) -> Ticker {
        check("new", period);
        let (core, channel) = timed_channel(clock::after(period), Some(period));
        Ticker { core, channel }
    }

    /// Returns the ticker's channel, which is never closed. The message is the moment of the tick.
    #[must_use]
    pub fn channel(&self) -> &Receiver<Instant> {
        &self.channel
    }

    /// Ends the ticks, until a [`reset`](Ticker::reset). A tick that has not been received is
    /// discarded too.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::time::Ticker;
    ///
    /// let ticker = Ticker::new(Duration::from_millis(1));
    /// ticker.channel().recv().unwrap();
    /// ticker.stop();
    /// assert!(ticker.channel().recv_timeout(Duration::from_millis(5)).is_err());
    /// ```
    pub fn stop(&self) {
        self.core.stop();
    }

    /// Begins anew with another period. The next tick comes one `period` from now.
    ///
    /// # Panics
    /// If `period` is 0. The ticker then goes on as before.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::time::Ticker;
    ///
    /// let ticker = Ticker::new(Duration::from_secs(3600));
    /// ticker.reset(Duration::from_millis(1));
    /// assert!(ticker.channel().recv().is_ok());
    /// ```
    #[track_caller]
    pub fn reset(&self, period: Duration) {
        check("reset", period);
        self.core.reset(clock::after(period), Some(period));
    }
}

#[track_caller]
fn check(function: &str, period: Duration) {
    assert!(
        !period.is_zero(),
        "Ticker::{function}: a period of 0 would tick without end; give at least a nanosecond"
    );
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticker")
            .field("next", &self.core.due())
            .finish()
    }
}
