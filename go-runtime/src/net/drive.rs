//! The loop of an operation on a descriptor: it is attempted, and attempted again after each event
//! from the poller, until it no longer reports that it would block, its time is over, or its done
//! channel is ready.
//!
//! ```text
//!   read --> drained since the last edge? --no--> attempt --ok--> return
//!                   |                               |
//!                  yes                          WouldBlock: note the edge as drained
//!                   |                               |
//!                   +---------------+---------------+
//!                                   v
//!               park in the direction's queue of edges  <---- the poller: an event is
//!                                   |                         an edge, wakes one waiter
//!                                   v
//!               edge: attempt again     done, deadline: return an error
//! ```
//!
//! A worker's poller reports the events; any thread may run an operation. An operation that leaves
//! the loop in any way wakes the next waiter of its direction, because it may have consumed a
//! wake-up that another waiter could use.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use super::done::{self, Done};
use super::fd::{Fd, IoDirection};
use super::limits::Limits;
use super::readiness::Direction;
use crate::clock;
use crate::wait::Observable;
use crate::wait::edges::{Edge, Woken};
use crate::wait::{before_a_wait, note_failed_poll};

/// The result of an attempt, and whether there may be more data or room.
pub(super) enum Left<R> {
    /// There may be more to read, or more room to write.
    More(R),
    /// There is nothing more for now, unless the attempt stopped at urgent data.
    Nothing(R),
}

impl Left<usize> {
    /// Classifies a stream operation that moved `n` of `len` bytes: fewer than all mean that there
    /// is no more for now. Zero bytes (the end of the stream) say nothing about that.
    pub(super) fn of_partial(n: usize, len: usize) -> Left<usize> {
        if 0 < n && n < len {
            Left::Nothing(n)
        } else {
            Left::More(n)
        }
    }

    /// Classifies a read of a stream that may end early although there is more.
    pub(super) fn of_any(n: usize, _len: usize) -> Left<usize> {
        Left::More(n)
    }
}

impl<R> Left<R> {
    fn map<S>(self, f: impl FnOnce(R) -> S) -> Left<S> {
        match self {
            Left::More(result) => Left::More(f(result)),
            Left::Nothing(result) => Left::Nothing(f(result)),
        }
    }

    fn into_inner(self) -> R {
        match self {
            Left::More(result) | Left::Nothing(result) => result,
        }
    }
}

impl<T: AsFd> Fd<T> {
    /// Runs `attempt` until it no longer reports that it would block, and waits in between. If
    /// `done` is ready, it neither attempts nor waits.
    #[inline]
    pub(super) fn drive<R>(
        &self,
        which: IoDirection,
        done: Done<'_>,
        attempt: impl FnMut(&T) -> io::Result<Left<R>>,
    ) -> io::Result<R> {
        yield_if_failed(self.drive_quickly(which, done, false, attempt))
    }

    /// Runs an operation like [`drive`](Self::drive), but always makes the first attempt: the
    /// operation may succeed or fail although another operation would have blocked and the poller
    /// has reported no event since.
    #[inline]
    pub(super) fn drive_unknown<R>(
        &self,
        which: IoDirection,
        done: Done<'_>,
        attempt: impl FnMut(&T) -> io::Result<Left<R>>,
    ) -> io::Result<R> {
        yield_if_failed(self.drive_quickly(which, done, true, attempt))
    }

    #[inline]
    fn drive_quickly<R>(
        &self,
        which: IoDirection,
        done: Done<'_>,
        in_any_case: bool,
        mut attempt: impl FnMut(&T) -> io::Result<Left<R>>,
    ) -> io::Result<R> {
        let direction = self.direction(which);
        let limits = self.limits(which);
        if limits.is_over() {
            fail_if_done(done)?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.never_waits() {
            fail_if_done(done)?;
            // This operation never waits, so it is always attempted: what the runtime knows of the
            // descriptor may be slightly out of date.
            return attempt(self.get_ref()).map(Left::into_inner);
        }
        // (A write that need not wait never yields to other goroutines, as a channel's `send` does
        // not.)
        if let IoDirection::Read = which {
            before_a_wait();
        }
        let edge = direction.edge();
        let attempts = in_any_case || !direction.is_drained(edge);
        if attempts {
            fail_if_done(done)?;
            if let Some(ended) = try_at(direction, edge, || attempt(self.get_ref())) {
                direction.pass_on();
                return ended;
            }
        }
        self.drive_slowly(which, done, attempts, attempt)
    }

    /// Waits and attempts in turn, like [`wait_and_attempt`].
    fn drive_slowly<R>(
        &self,
        which: IoDirection,
        done: Done<'_>,
        done_checked: bool,
        mut attempt: impl FnMut(&T) -> io::Result<Left<R>>,
    ) -> io::Result<R> {
        self.register()?;
        let mut result = None;
        let mut attempt = || attempt(self.get_ref()).map(|left| left.map(|r| result = Some(r)));
        let (direction, limits) = (self.direction(which), self.limits(which));
        wait_and_attempt(direction, limits, done, done_checked, &mut attempt)?;
        Ok(result.expect("the last attempt has succeeded"))
    }
}

/// Makes an attempt. Returns `None` if it would have blocked.
#[inline]
fn try_at<R>(
    direction: &Direction,
    edge: Edge,
    attempt: impl FnOnce() -> io::Result<Left<R>>,
) -> Option<io::Result<R>> {
    match attempt() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            direction.note_drained(edge);
            None
        }
        ended => {
            if let Ok(Left::Nothing(_)) = ended {
                direction.note_partial(edge);
            }
            Some(ended.map(Left::into_inner))
        }
    }
}

/// Waits and attempts in turn, after a first attempt that would have blocked, or that was left out
/// because it would block. `done_checked` says that `done` was not ready before the first attempt,
/// so that it need not be checked again before the next one.
///
/// `attempt` stores its result itself, so this function is compiled once, and not for each kind of
/// operation.
fn wait_and_attempt(
    direction: &Direction,
    limits: &Limits,
    done: Done<'_>,
    mut done_checked: bool,
    attempt: &mut dyn FnMut() -> io::Result<Left<()>>,
) -> io::Result<()> {
    // On every exit, by success, error or panic, this wakes the next waiter: the exiting operation
    // may have consumed a wake-up meant for another.
    let _pass_on = PassOn(direction);
    let by_timeout = limits.timeout().and_then(clock::after);
    loop {
        let edge = direction.edge();
        if !direction.is_drained(edge) {
            if !done_checked {
                fail_if_done(done)?;
            }
            if let Some(ended) = try_at(direction, edge, &mut *attempt) {
                return ended;
            }
        }
        done_checked = true;
        if wait(direction, edge, by_timeout, limits, done)? == Next::LastAttempt {
            return match attempt() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    Err(io::ErrorKind::TimedOut.into())
                }
                ended => ended.map(Left::into_inner),
            };
        }
    }
}

/// What an operation does after a wait.
#[derive(PartialEq)]
enum Next {
    Attempt,
    /// The operation's time is over. Because the worker was busy, the poller may not have reported
    /// data that came in time. So the operation is attempted once more.
    LastAttempt,
}

/// Waits for an edge after `edge`, until `by_timeout` or the deadline of `limits`.
fn wait(
    direction: &Direction,
    edge: Edge,
    by_timeout: Option<Instant>,
    limits: &Limits,
    done: Done<'_>,
) -> io::Result<Next> {
    let limit = || by_timeout.into_iter().chain(limits.deadline()).min();
    match direction.wait(edge, limit, done) {
        Woken::ByDone => Err(done::error()),
        Woken::ByEdge if !limits.is_over() => Ok(Next::Attempt),
        // Either the deadline was extended meanwhile, or the wait ended at the moment of a timed
        // done channel, whose message another receiver took.
        Woken::TimedOut if limit().is_none_or(|limit| limit > clock::now()) => Ok(Next::Attempt),
        Woken::ByEdge | Woken::TimedOut => Ok(Next::LastAttempt),
    }
}

/// Wakes one of the direction's other waiters when it is dropped, at the end of the caller's
/// operation.
struct PassOn<'a>(&'a Direction);

impl Drop for PassOn<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

fn fail_if_done(done: Done<'_>) -> io::Result<()> {
    if done.is_some_and(Observable::is_ready) {
        return Err(done::error());
    }
    Ok(())
}

/// Yields after a failed operation, so that a goroutine that repeats an operation which fails at
/// once (an `accept` without descriptors, a read after the deadline) lets others run.
#[inline]
pub(super) fn yield_if_failed<R>(result: io::Result<R>) -> io::Result<R> {
    if result.is_err() {
        note_failed_poll();
    }
    result
}
