//! Operations that the system does not say have become possible: they are tried again, after pauses
//! that grow.
//!
//! In the Unix domain these are connecting while the listener's queue is full, and sending to
//! another than the connected peer while its queue is.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::done::{self, Done};
use super::drive::in_vain_if_failed;
use super::fd::{Fd, Way};
use crate::wait::Observable;
use crate::wait::edges::Edges;
use crate::{clock, time};

const FIRST_PAUSE: Duration = Duration::from_micros(20);

/// A deadline that is set meanwhile is seen after that.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

impl<T: AsFd> Fd<T> {
    /// [`drive`](Self::drive) without the poller. It takes no part in its direction's wake-ups,
    /// which are meant for those who wait for what the poller tells.
    pub(super) fn retry<R>(
        &self,
        way: Way,
        done: Done<'_>,
        mut attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let limits = self.limits(way);
        let by_timeout = limits.timeout().and_then(clock::after);
        let mut pause = FIRST_PAUSE;
        loop {
            if done.is_some_and(Observable::is_ready) {
                return in_vain_if_failed(Err(done::error()));
            }
            if limits.is_over() {
                return in_vain_if_failed(Err(io::ErrorKind::TimedOut.into()));
            }
            match attempt(self.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.never_waits() => {}
                ended => return in_vain_if_failed(ended),
            }
            let now = clock::now();
            let limit = by_timeout.into_iter().chain(limits.deadline()).min();
            if limit.is_some_and(|limit| limit <= now) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let next = now + pause;
            sleep_until(limit.map_or(next, |limit| limit.min(next)), done);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Until then, or until `done` is ready; it may end sooner.
pub(super) fn sleep_until(when: Instant, done: Done<'_>) {
    if done.is_none() {
        return time::sleep_until(when);
    }
    // However it ends the caller looks.
    let no_edges = Edges::new();
    let _ = no_edges.wait(no_edges.now(), || Some(when), done);
}
