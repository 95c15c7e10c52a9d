//! How a thread waits for another one that is certain to be quick: it spins, then lets the system
//! run other threads, then sleeps.
//!
//! It sleeps because a yield is not enough for the other thread to run: one with a real-time policy
//! (`SCHED_FIFO`) that yields goes on before all ordinary ones (sched(7)).
//!
//! Kept apart also so that the model checker can put its own yield here.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

/// Number of yields before the first sleep.
const YIELDS: u32 = 32;
const SHORTEST: Duration = Duration::from_micros(20);
const LONGEST: Duration = Duration::from_millis(1);

pub(crate) struct Backoff {
    spins: crossbeam_utils::Backoff,
    /// How often it has yielded, or slept, after the spins.
    rounds: Cell<u32>,
}

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff {
            spins: crossbeam_utils::Backoff::new(),
            rounds: Cell::new(0),
        }
    }

    /// Lets a moment pass, a longer one each time.
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

/// How long to sleep after so many rounds; `None` to yield.
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
