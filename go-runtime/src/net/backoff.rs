//! Pauses of those who take connections in a loop, while the system has nothing to make one of.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::done::Done;
use super::fd::{Fd, Way};
use super::retry::sleep_until;
use crate::clock;

/// Go's `net/http` pauses for as long.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// How long to pause before the next attempt, if the last one failed so that the next would at once
/// as well.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    pause: Option<Duration>,
}

impl Backoff {
    /// Pauses if need be, unless `done` is ready before, or the descriptor's operations are not to
    /// wait so long.
    pub(super) fn wait<T: AsFd>(&self, fd: &Fd<T>, done: Done<'_>) {
        if fd.never_waits() {
            return;
        }
        if let Some(end) = self.pause.and_then(clock::after) {
            // One that is over already is why: else it would end no pause.
            let now = clock::now();
            let deadline = fd.limits(Way::Read).deadline();
            let deadline = deadline.filter(|deadline| *deadline > now);
            sleep_until(deadline.map_or(end, |deadline| deadline.min(end)), done);
        }
    }

    /// Learns from an attempt.
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

/// Of what others have to give back first: the connection stays in the listener's queue, so that
/// the poller has nothing new to tell.
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
        // The deadline stays where it is.
        assert_eq!(after(Err(io::ErrorKind::TimedOut.into())), Some(5));
        assert_eq!(after(Err(io::ErrorKind::TimedOut.into())), Some(10));
    }
}
