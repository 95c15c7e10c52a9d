//! The limit on how long newcomers may take a free mutex ahead of a waiter that was woken for the
//! mutex.
//!
//! A goroutine that locks in a loop can keep a woken waiter of the same worker from running at all,
//! so the waiter cannot report that it starves. Instead the unlocking holder measures how long the
//! woken waiter has been on its way. Each [`RawMutex`](super::raw_mutex::RawMutex) owns one
//! `LatenessTimer`; only the holder of the mutex may use it.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Instant;

use crate::clock;

/// Number of unlocks between two readings of the clock, in the long run.
///
/// The clock is read at the first, second, fourth and eighth unlock, and then at every 16th: rarely
/// if unlocks come in quick succession, and soon enough if each holder keeps the lock for long.
const UNLOCKS_PER_CLOCK_READ: u8 = 16;
/// Binary logarithm of a tick in microseconds: a tick is 64 us.
///
/// The 16-bit count of ticks wraps after 4.2 seconds, which may make a wait seem too short once.
const TICK_SHIFT: u32 = 6;
/// Number of ticks after which a woken waiter is late: about a millisecond.
const MOST_TICKS: u16 = 16;

/// A stopwatch for the woken waiter. It is small because every mutex contains one. Only the holder
/// of the mutex uses it.
pub(super) struct LatenessTimer {
    /// The tick at which a waiter was last woken, or last found late.
    since: Cell<u16>,
    /// Number of unlocks since a waiter was woken; from 16 on the count cycles from 16 to 31. (A
    /// contender that spins before it queues is on its way although it was not woken, and may be
    /// found late too early. Then a newcomer yields once without need.)
    unlocks: Cell<u8>,
}

impl LatenessTimer {
    pub(super) const fn new() -> LatenessTimer {
        LatenessTimer {
            since: Cell::new(0),
            unlocks: Cell::new(0),
        }
    }

    /// Restarts the stopwatch. Called when a waiter is about to be woken.
    pub(super) fn start(&self) {
        self.unlocks.set(0);
        self.since.set(ticks());
    }

    /// Returns whether the woken waiter is late: on its way for more than about a millisecond. Most
    /// calls do not read the clock, and return `false`. An unlock calls this while a contender is
    /// on its way.
    #[inline]
    pub(super) fn waiter_is_late(&self) -> bool {
        let unlocks = self.unlocks.get() + 1;
        let reads_clock = unlocks.is_power_of_two();
        self.unlocks.set(if unlocks < 2 * UNLOCKS_PER_CLOCK_READ {
            unlocks
        } else {
            UNLOCKS_PER_CLOCK_READ
        });
        reads_clock && self.check_clock()
    }

    /// Reads the clock, and restarts the stopwatch if the waiter is late.
    #[cold]
    fn check_clock(&self) -> bool {
        let now = ticks();
        let over = now.wrapping_sub(self.since.get()) > MOST_TICKS;
        if over {
            self.since.set(now);
        }
        over
    }
}

/// Returns the ticks since the first call, modulo 2^16.
fn ticks() -> u16 {
    static START: OnceLock<Instant> = OnceLock::new();
    let now = clock::now();
    let micros = (now - *START.get_or_init(|| now)).as_micros();
    (micros >> TICK_SHIFT) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_reads_are_few_and_soon() {
        let lateness = LatenessTimer::new();
        lateness.start();
        let long_ago = lateness.since.get().wrapping_sub(MOST_TICKS + 1);
        let reads = (1..=64).filter(|_| {
            lateness.since.set(long_ago);
            lateness.waiter_is_late()
        });
        assert_eq!(reads.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 48, 64]);
    }
}
