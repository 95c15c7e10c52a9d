//! The channels that no sender feeds: one message at a given moment ([`At`]), or one message in
//! each period ([`Tick`]).
//!
//! No timer runs for them: a receiver computes when the message is due and waits until then. Each
//! channel is a few atomic words, shared by its receivers without a lock.

use std::time::{Duration, Instant};

use crossbeam_utils::atomic::AtomicCell;

use super::core::{Received, Timeout};
use crate::clock;
use crate::primitives::atomic::{AtomicBool, Ordering};
use crate::wait::{self, WaitReason};

/// Converts an `Instant` into a message. `Receiver<T>` is generic, but a timed channel is made only
/// with `T = Instant`, where this is the identity; it spares a cast.
type Make<T> = fn(Instant) -> T;

pub(crate) struct At<T> {
    when: Instant,
    taken: AtomicBool,
    make: Make<T>,
}

impl<T> At<T> {
    pub(crate) fn new(when: Instant, make: Make<T>) -> At<T> {
        At {
            when,
            taken: AtomicBool::new(false),
            make,
        }
    }

    /// Returns when there will be a message, or `None` for never.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.taken.load(Ordering::Relaxed)).then_some(self.when)
    }

    pub(crate) fn try_take(&self) -> Option<T> {
        let due = self.due()?;
        let ours = due <= clock::now() && !self.taken.swap(true, Ordering::Relaxed);
        ours.then(|| (self.make)(due))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.due().is_some_and(|due| due <= clock::now())
    }
}

pub(crate) struct Tick<T> {
    /// When the next tick is due; `None` once that lies beyond all instants.
    next: AtomicCell<Option<Instant>>,
    period: Duration,
    make: Make<T>,
}

impl<T> Tick<T> {
    pub(crate) fn new(first: Instant, period: Duration, make: Make<T>) -> Tick<T> {
        Tick {
            next: AtomicCell::new(Some(first)),
            period,
            make,
        }
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.next.load()
    }

    pub(crate) fn try_take(&self) -> Option<T> {
        loop {
            let (due, now) = (self.next.load()?, clock::now());
            if now < due {
                return None;
            }
            let next = next_on_grid(due, self.period, now);
            if self.next.compare_exchange(Some(due), next).is_ok() {
                return Some((self.make)(due));
            }
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.due().is_some_and(|due| due <= clock::now())
    }
}

/// Returns the first moment after `now` that lies whole periods after `due`, so that ticks which no
/// receiver has taken in time are left out and later ones stay in step. Returns `None` if that
/// moment lies beyond all instants. A period of zero has its next tick now. `due` must not be later
/// than `now`.
pub(super) fn next_on_grid(due: Instant, period: Duration, now: Instant) -> Option<Instant> {
    const NANOS: u128 = 1_000_000_000;
    let Some(since) = (now - due).as_nanos().checked_rem(period.as_nanos()) else {
        return Some(now);
    };
    // `since` is less than the period, so it fits into a `Duration`.
    let since = Duration::new((since / NANOS) as u64, (since % NANOS) as u32);
    now.checked_add(period - since)
}

/// Receives from an [`At`] or a [`Tick`]: waits until the message is due, and waits again if
/// another receiver took the message first.
pub(crate) fn receive<T>(
    timeout: Timeout,
    due: impl Fn() -> Option<Instant>,
    try_take: impl Fn() -> Option<T>,
) -> Received<T> {
    loop {
        if let Some(message) = try_take() {
            return Received::Message(message);
        }
        let due = due();
        match timeout {
            Timeout::Poll => return Received::Empty,
            Timeout::Until(deadline) if due.is_none_or(|due| deadline < due) => {
                if deadline <= clock::now() {
                    wait::note_failed_poll();
                }
                wait::sleep_until(WaitReason::ChanReceive, Some(deadline));
                return Received::TimedOut;
            }
            Timeout::Until(_) | Timeout::Forever => {
                let reason = match due {
                    Some(_) => WaitReason::ChanReceive,
                    None => WaitReason::ChanReceiveNever,
                };
                wait::sleep_until(reason, due);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_moment_is_on_the_grid() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let period = Duration::from_millis(10);
        assert_eq!(next_on_grid(at(10), period, at(10)), Some(at(20)));
        assert_eq!(next_on_grid(at(10), period, at(19)), Some(at(20)));
        assert_eq!(next_on_grid(at(10), period, at(20)), Some(at(30)));
        assert_eq!(next_on_grid(at(10), period, at(57)), Some(at(60)));
        assert_eq!(next_on_grid(at(10), Duration::MAX, at(10)), None);
        assert_eq!(next_on_grid(at(10), Duration::ZERO, at(57)), Some(at(57)));
        let often = Duration::from_nanos(3);
        let late = at(10) + Duration::from_secs(50);
        let next = late + Duration::from_nanos(1);
        assert_eq!(next_on_grid(at(10), often, late), Some(next));
    }

    #[test]
    fn a_tick_that_is_taken_late_does_not_shift_the_next() {
        let period = Duration::from_secs(60);
        let first = Instant::now() - period * 5 / 2;
        let tick = Tick::new(first, period, |when| when);
        assert_eq!(tick.try_take(), Some(first));
        assert_eq!(tick.due(), Some(first + period * 3));
        assert_eq!(tick.try_take(), None);
    }
}
