//! Pauses between calls of `accept` in a loop, while the system lacks the resources for another
//! connection.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::done::Done;
use super::fd::{Fd, IoDirection};
use super::retry::sleep_until;
use crate::clock;

/// The first pause; Go's `net/http` uses the same limits.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// The pause before the next attempt, if the last attempt failed in a way in which the next one
/// would fail at once, too.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    pause: Option<Duration>,
}

impl Backoff {
    /// Pauses if necessary, until `done` is ready or the descriptor's deadline has passed; does not
    /// pause at all if the descriptor is non-blocking.
    pub(super) fn wait<T: AsFd>(&self, fd: &Fd<T>, done: Done<'_>) {
        if fd.never_waits() {
            return;
        }
        if let Some(end) = self.pause.and_then(clock::after) {
            // A deadline in the past is the reason for the pause, and must not end the pause.
            let now = clock::now();
            let deadline = fd.limits(IoDirection::Read).deadline();
            let deadline = deadline.filter(|deadline| *deadline > now);
            sleep_until(deadline.map_or(end, |deadline| deadline.min(end)), done);
        }
    }

    /// Updates the pause with the result of an attempt.
    pub(super) fn note<T>(&mut self, result: &io::Result<T>) {
        let fails_again = result.as_ref().err().is_some_and(|error| {
            is_short_of_something(error) || error.kind() == io::ErrorKind::TimedOut
        });
        self.pause = fails_again.then(|| match self.pause {
            Some(pause) => LONGEST.min(pause * 2),
            None => SHORTEST,
        });
    }
}

/// Returns whether the error is a lack of resources, which other code has to release first. The
/// connection then stays in the listener's queue, and the poller reports no new event for that
/// connection.
fn is_short_of_something(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let mut backoff = Backoff::default();
        let mut after = |result: io::Result<()>| {
            backoff.note(&result);
            backoff.pause.map(|pause| pause.as_millis())
        };
        let short = || Err(io::Error::from_raw_os_error(libc::EMFILE));
        let pauses = [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000];
        for pause in pauses {
            assert_eq!(after(short()), Some(pause));
        }
        assert_eq!(after(Ok(())), None);
        assert_eq!(after(short()), Some(5));
        assert_eq!(after(Err(io::ErrorKind::ConnectionAborted.into())), None);
        // The deadline stays in the past, so the next attempt would fail at once as well.
        assert_eq!(after(Err(io::ErrorKind::TimedOut.into())), Some(5));
        assert_eq!(after(Err(io::ErrorKind::TimedOut.into())), Some(10));
    }
}
