//! How long those who take a lock that is free may get ahead of one who has been woken for it.
//!
//! On one worker a goroutine that locks in a loop keeps the woken one from running at all, so the woken one cannot complain: the one
//! who unlocks has to notice.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Instant;

use crate::clock;

/// The clock is read at every 64th unlocking.
const UNLOCKS_A_LOOK: u8 = 64;
/// A tick is 64 us. The count wraps after some seconds, which may make a wait look short, once.
const TICK_SHIFT: u32 = 6;
/// A millisecond.
const MOST_TICKS: u16 = 16;

/// Small, as it lies in every mutex. Used by the holder only.
pub(super) struct Patience {
    /// When it was first looked at the clock since the last wake-up.
    since: Cell<u16>,
    /// Unlockings since the last wake-up, until the first look; from then on it goes from 64 to 128, and again.
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
    }

    /// Called when unlocking while a woken one is still on its way: whether that has lasted for more than about a millisecond.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        let unlocks = self.unlocks.get() + 1;
        self.unlocks.set(unlocks);
        unlocks.is_multiple_of(UNLOCKS_A_LOOK) && self.look(unlocks)
    }

    #[cold]
    fn look(&self, unlocks: u8) -> bool {
        static START: OnceLock<Instant> = OnceLock::new();
        let now = clock::now();
        let micros = (now - *START.get_or_init(|| now)).as_micros();
        let ticks = (micros >> TICK_SHIFT) as u16;
        if unlocks == UNLOCKS_A_LOOK {
            self.since.set(ticks);
            return false;
        }
        // Not 0, which would begin anew.
        self.unlocks.set(UNLOCKS_A_LOOK);
        let over = ticks.wrapping_sub(self.since.get()) > MOST_TICKS;
        if over {
            self.since.set(ticks);
        }
        over
    }
}
