//! Go's `time.Timer`: a channel with one message at a moment that may be changed.

use std::convert::identity;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::channel::timer::TimerCore;
use crate::channel::{Receiver, Source};
use crate::clock;

/// One message on a channel, at a moment that may be changed or canceled. Go's `time.Timer`, as it
/// is since Go 1.23.
///
/// As in Go no stale message is received after [`stop`](Timer::stop) or [`reset`](Timer::reset), so
/// there is no need to drain the channel. A receiver that is waiting when the moment changes then
/// waits for the new moment. Unlike [`after_func`](super::after_func) a timer takes no work to
/// make, change or drop: no background timer runs, and a waiting receiver computes its own
/// deadline.
///
/// For a wait whose end never changes, `default(duration)` of a [`select!`](crate::select) or
/// [`after`](super::after) is enough.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::{channel::unbounded, select, time::Timer};
///
/// let (tx, rx) = unbounded();
/// tx.send("busy").unwrap();
/// let idle = Timer::new(Duration::from_millis(5));
/// loop {
///     select! {
///         recv(rx) -> _ => {
///             idle.reset(Duration::from_millis(5)); // five more milliseconds
///         }
///         recv(idle.channel()) -> _ => break,
///     }
/// }
/// ```
pub struct Timer {
    core: Arc<TimerCore<Instant>>,
    channel: Receiver<Instant>,
}

impl Timer {
    /// Makes a timer whose channel has a message after `duration`: at once with 0, and never if
    /// that reaches beyond what [`Instant`] can express.
    #[must_use]
    pub fn new(duration: Duration) -> Timer {
        let (core, channel) = timed_channel(clock::after(duration), None);
        Timer { core, channel }
    }

    /// Returns the timer's channel, which is never closed. The message is the moment for which the
    /// timer was set. Clones of the receiver share the one message.
    #[must_use]
    pub fn channel(&self) -> &Receiver<Instant> {
        &self.channel
    }

    /// Cancels the timer: there will be no message. Returns whether the timer was set: its message
    /// was still to come (even if beyond all instants), or had not been received.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::time::Timer;
    ///
    /// let timer = Timer::new(Duration::ZERO);
    /// assert!(timer.stop());
    /// assert!(timer.channel().try_recv().is_err());
    /// assert!(!timer.stop());
    /// ```
    pub fn stop(&self) -> bool {
        self.core.stop()
    }

    /// Sets the timer anew, to `duration` from now, whether it was stopped or not. Returns whether
    /// it was set before, as [`stop`](Timer::stop) does.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::time::Timer;
    ///
    /// let timer = Timer::new(Duration::from_secs(3600));
    /// assert!(timer.reset(Duration::ZERO));
    /// assert!(timer.channel().recv().is_ok());
    /// assert!(!timer.reset(Duration::ZERO));
    /// ```
    pub fn reset(&self, duration: Duration) -> bool {
        self.core.reset(clock::after(duration), None)
    }
}

/// Makes a timed channel, with a first message at `due`, and others each `period` after that.
pub(super) fn timed_channel(
    due: Option<Instant>,
    period: Option<Duration>,
) -> (Arc<TimerCore<Instant>>, Receiver<Instant>) {
    let core = Arc::new(TimerCore::new(due, period, identity));
    (Arc::clone(&core), Receiver::new(Source::Timer(core)))
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("due", &self.core.due())
            .finish()
    }
}
