//! Operations whose readiness the system does not report: they are retried, after growing pauses.
//!
//! In the Unix domain these are connecting while the listener's queue is full, and sending to a
//! socket other than the connected peer while that socket's queue is full.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::done::{self, Done};
use super::drive::yield_if_failed;
use super::fd::{Fd, IoDirection};
use crate::wait::edges::Edges;
use crate::wait::{Observable, WaitReason};
use crate::{clock, time};

const FIRST_PAUSE: Duration = Duration::from_micros(20);

/// The longest pause. A deadline that is set meanwhile takes effect after at most this time.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

impl<T: AsFd> Fd<T> {
    /// Runs an operation like [`drive`](Self::drive), without the poller. It does not take part in
    /// the wake-ups of its direction, which are meant for waiters on the poller's events.
    pub(super) fn retry<R>(
        &self,
        which: IoDirection,
        done: Done<'_>,
        mut attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let limits = self.limits(which);
        let by_timeout = limits.timeout().and_then(clock::after);
        let mut pause = FIRST_PAUSE;
        loop {
            if done.is_some_and(Observable::is_ready) {
                return yield_if_failed(Err(done::error()));
            }
            if limits.is_over() {
                return yield_if_failed(Err(io::ErrorKind::TimedOut.into()));
            }
            match attempt(self.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.never_waits() => {}
                ended => return yield_if_failed(ended),
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

/// Sleeps until `when`, or until `done` is ready. The sleep may end early.
pub(super) fn sleep_until(when: Instant, done: Done<'_>) {
    if done.is_none() {
        return time::sleep_until(when);
    }
    // The result does not matter: the caller checks both the time and `done`.
    let no_edges = Edges::new();
    let _ = no_edges.wait(WaitReason::Sleep, no_edges.now(), || Some(when), done);
}
