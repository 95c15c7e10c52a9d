//! Waiting for another thread that is certain to be quick: the waiter spins, then yields to other
//! threads, then sleeps.
//!
//! It sleeps because yielding is not enough to let the other thread run: a thread with a real-time
//! policy (`SCHED_FIFO`) that yields continues before all ordinary threads (sched(7)).
//!
//! This is a separate module so that the model checker can substitute its own yield.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

/// Number of yields before the first sleep.
const YIELDS: u32 = 32;
const SHORTEST: Duration = Duration::from_micros(20);
const LONGEST: Duration = Duration::from_millis(1);

pub(crate) struct Backoff {
    spins: crossbeam_utils::Backoff,
    /// Number of yields and sleeps after the spins.
    rounds: Cell<u32>,
}

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff {
            spins: crossbeam_utils::Backoff::new(),
            rounds: Cell::new(0),
        }
    }

    /// Waits for a moment, which grows with each call.
    pub(crate) fn snooze(&self) {
        if !self.spins.is_completed() {
            return self.spins.snooze();
        }
        let rounds = self.rounds.get();
        self.rounds.set(rounds.saturating_add(1));
        match sleep(rounds) {
            None => thread::yield_now(),
            Some(duration) => thread::sleep(duration),
        }
    }
}

/// Returns how long to sleep after `rounds` rounds, or `None` to yield.
pub(crate) fn sleep(rounds: u32) -> Option<Duration> {
    let sleeps = rounds.checked_sub(YIELDS)?;
    Some(LONGEST.min(SHORTEST * (1 << sleeps.min(10))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yields_come_first_and_sleeps_grow() {
        assert!((0..YIELDS).all(|rounds| sleep(rounds).is_none()));
        let sleeps: Vec<_> = (YIELDS..).map_while(sleep).take(8).collect();
        let micros = [20, 40, 80, 160, 320, 640, 1000, 1000].map(Duration::from_micros);
        assert_eq!(sleeps, micros);
        assert_eq!(sleep(u32::MAX), Some(LONGEST));
    }
}
