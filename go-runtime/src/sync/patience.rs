//! How long those who take a lock that is free may get ahead of one who has been woken for it.
//!
//! On one worker a goroutine that locks in a loop keeps the woken one from running at all, so the
//! woken one cannot complain: the one who unlocks has to notice.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Instant;

use crate::clock;

/// The clock is read at the first unlocking, at the second, fourth, eighth, and then at every 16th:
/// rarely if they come in quick succession, and soon enough if each holder takes its time.
const UNLOCKS_A_LOOK: u8 = 16;
/// A tick is 64 us. The count wraps after some seconds, which may make a wait look short, once.
const TICK_SHIFT: u32 = 6;
/// A millisecond.
const MOST_TICKS: u16 = 16;

/// Small, as it lies in every mutex. Used by the holder only.
pub(super) struct Patience {
    /// When somebody was woken last.
    since: Cell<u16>,
    /// Unlockings since then; it goes from 16 to 32, and again. (One that looks before it queues,
    /// and so is on its way without having been woken, may be found late too early. Then somebody
    /// gives way once for nothing.)
    unlocks: Cell<u8>,
}

impl Patience {
    pub(super) const fn new() -> Patience {
        Patience {
            since: Cell::new(0),
            unlocks: Cell::new(0),
        }
    }

    /// Somebody is about to be woken.
    pub(super) fn start(&self) {
        self.unlocks.set(0);
        self.since.set(ticks());
    }

    /// Called when unlocking while a woken one is still on its way: whether that has lasted for
    /// more than about a millisecond.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        let unlocks = self.unlocks.get() + 1;
        let looks = unlocks.is_power_of_two();
        self.unlocks.set(if unlocks < 2 * UNLOCKS_A_LOOK {
            unlocks
        } else {
            UNLOCKS_A_LOOK
        });
        looks && self.look()
    }

    #[cold]
    fn look(&self) -> bool {
        let now = ticks();
        let over = now.wrapping_sub(self.since.get()) > MOST_TICKS;
        if over {
            self.since.set(now);
        }
        over
    }
}

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
    fn looks_are_few_and_soon() {
        let patience = Patience::new();
        patience.start();
        let long_ago = patience.since.get().wrapping_sub(MOST_TICKS + 1);
        let looks = (1..=64).filter(|_| {
            patience.since.set(long_ago);
            patience.is_over()
        });
        assert_eq!(looks.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 48, 64]);
    }
}
