//! How an operation on a descriptor runs: it is attempted, and again whenever the poller has told
//! something, until it does not say that it would block, its time is over, or its done channel is
//! ready.

use std::io;
use std::os::fd::AsFd;

use super::done::{self, Done};
use super::fd::{Fd, Way};
use super::readiness::Direction;
use crate::clock;
use crate::goroutine::{before_a_wait, polled_in_vain};
use crate::wait::Observable;
use crate::wait::edges::{Edge, Woken};

/// What an attempt has left.
pub(super) enum Left<R> {
    /// There may be more.
    More(R),
    /// There is nothing more, unless it has met urgent data.
    Nothing(R),
}

impl Left<usize> {
    /// `n` of `len` bytes of a stream: if it is not all, there is no more for now; if it is
    /// nothing, this is another matter.
    pub(super) fn of_partial(n: usize, len: usize) -> Left<usize> {
        if 0 < n && n < len {
            Left::Nothing(n)
        } else {
            Left::More(n)
        }
    }

    /// `n` bytes of a stream that may end a read early.
    pub(super) fn of_any(n: usize, _len: usize) -> Left<usize> {
        Left::More(n)
    }
}

impl<R> Left<R> {
    fn into_inner(self) -> R {
        match self {
            Left::More(result) | Left::Nothing(result) => result,
        }
    }
}

impl<T: AsFd> Fd<T> {
    /// Runs `attempt` until it does not say that it would block, and waits in between. If `done` is
    /// ready, it does neither.
    #[inline]
    pub(super) fn drive<R>(
        &self,
        way: Way,
        done: Done<'_>,
        attempt: impl FnMut(&T) -> io::Result<Left<R>>,
    ) -> io::Result<R> {
        in_vain_if_failed(self.drive_quickly(way, done, false, attempt))
    }

    /// [`drive`](Self::drive), for an operation that may not have to wait though the poller has
    /// told nothing since another one had to: the first attempt is made whatever is known.
    #[inline]
    pub(super) fn drive_unknown<R>(
        &self,
        way: Way,
        done: Done<'_>,
        attempt: impl FnMut(&T) -> io::Result<Left<R>>,
    ) -> io::Result<R> {
        in_vain_if_failed(self.drive_quickly(way, done, true, attempt))
    }

    #[inline]
    fn drive_quickly<R>(
        &self,
        way: Way,
        done: Done<'_>,
        in_any_case: bool,
        mut attempt: impl FnMut(&T) -> io::Result<Left<R>>,
    ) -> io::Result<R> {
        let direction = self.direction(way);
        let limits = self.limits(way);
        if limits.is_over() {
            fail_if_done(done)?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.never_waits() {
            fail_if_done(done)?;
            // What is known of the descriptor may be a little old.
            return attempt(self.get_ref()).map(Left::into_inner);
        }
        // (A write that need not wait never lets others run, as a `send` does not.)
        if let Way::Read = way {
            before_a_wait();
        }
        let edge = direction.edge();
        let attempts = in_any_case || !direction.is_drained(edge);
        if attempts {
            fail_if_done(done)?;
            if let Some(ended) = self.try_at(edge, direction, &mut attempt) {
                direction.pass_on();
                return ended;
            }
        }
        self.drive_slowly(way, done, attempts, attempt)
    }

    /// Makes an attempt; `None`: it would have blocked.
    #[inline]
    fn try_at<R>(
        &self,
        edge: Edge,
        direction: &Direction,
        attempt: &mut impl FnMut(&T) -> io::Result<Left<R>>,
    ) -> Option<io::Result<R>> {
        match attempt(self.get_ref()) {
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

    /// The first attempt would have blocked, or is known to. `looked`: `done` was not ready when it
    /// was made, so it need not be asked before the next.
    fn drive_slowly<R>(
        &self,
        way: Way,
        done: Done<'_>,
        mut looked: bool,
        mut attempt: impl FnMut(&T) -> io::Result<Left<R>>,
    ) -> io::Result<R> {
        self.register()?;
        let direction = self.direction(way);
        // However it ends: who gives up, or panics, may have taken what was meant for another.
        let _pass_on = PassOn(direction);
        let limits = self.limits(way);
        let by_timeout = limits.timeout().and_then(clock::after);
        loop {
            let edge = direction.edge();
            if !direction.is_drained(edge) {
                if !looked {
                    fail_if_done(done)?;
                }
                if let Some(ended) = self.try_at(edge, direction, &mut attempt) {
                    return ended;
                }
            }
            let limit = || by_timeout.into_iter().chain(limits.deadline()).min();
            looked = true;
            match direction.wait(edge, limit, done) {
                Woken::ByDone => return Err(done::error()),
                Woken::ByEdge if !limits.is_over() => {}
                Woken::TimedOut if limit().is_none_or(|limit| limit > clock::now()) => {
                    // The deadline has been put off meanwhile, or it was the moment of a done
                    // channel whose message another has taken.
                }
                Woken::ByEdge | Woken::TimedOut => {
                    // What has come in time may not have been told yet, or told only now, where the
                    // worker had much else to do: the system would give it.
                    return match attempt(self.get_ref()) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            Err(io::ErrorKind::TimedOut.into())
                        }
                        ended => ended.map(Left::into_inner),
                    };
                }
            }
        }
    }
}

/// Has one of the others look when the caller is done.
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

/// Who asks again and again for what fails at once (an `accept` without descriptors, a read after
/// the deadline) lets others run.
#[inline]
pub(super) fn in_vain_if_failed<R>(result: io::Result<R>) -> io::Result<R> {
    if result.is_err() {
        polled_in_vain();
    }
    result
}
