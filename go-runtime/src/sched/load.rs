//! A worker's load, as the other workers see it: how many of its goroutines have been active
//! lately, and how many live.
//!
//! A goroutine counts as active in each *period* of 100 ms in which it has run, and in the next
//! one, as long as it lives. So a goroutine that ends without having parked counts only while it
//! runs, and a thousand goroutines that wait for seconds count for nothing. Waiting goroutines cost
//! no work: the counts of a period are forgotten, all at once.
//!
//! ```text
//! period      6        7        8        9
//! active[0]   |  6     |  6     |  8     |  8     the even periods
//! active[1]   |  5     |  7     |  7     |  9     the odd periods
//! ```
//!
//! Only the worker's own thread writes, with plain stores: when a goroutine is spawned, placed,
//! runs for the first time in a period, becomes a parent, or ends. Other threads may read counts
//! of different moments beside each other: a goroutine that moves from one count to another may be
//! missed, but is never read twice.

use super::task::MonitorTick;
use super::tuning::PERIOD;
use crate::primitives::atomic::{AtomicU32, AtomicUsize, Ordering};

/// The number of a period.
pub(super) type Period = u32;

/// Maximum number of ticks for which a goroutine counts as active after it has run.
pub(super) const ACTIVE_FOR: MonitorTick = 2 * PERIOD;

/// Returns the period that a tick of the monitor belongs to.
pub(super) fn period(tick: MonitorTick) -> Period {
    tick / PERIOD
}

/// The last active period of a goroutine that counts in none: before its start and after its end.
pub(super) const NEVER: Period = Period::MAX;

/// A worker's counts of its goroutines.
#[derive(Default)]
pub(super) struct Load {
    /// The period of the newest counts.
    period: AtomicU32,
    /// Goroutines by the period in which they were active last, an even or an odd one, and by
    /// whether they have spawned others: `[period & 1][parent]`. Of the two periods one is `period`
    /// and the other is the one before it.
    active: [[AtomicUsize; 2]; 2],
    /// Number of goroutines that started here and have not ended.
    live: AtomicUsize,
    /// Number of goroutines that this worker spawned since it began, and of those that it placed:
    /// decided to start. A goroutine is placed before it counts as active.
    spawned: AtomicUsize,
    placed: AtomicUsize,
}

/// A worker's counts as another thread reads them.
pub(super) struct Reading {
    pub(super) leaves: usize,
    pub(super) parents: usize,
    pub(super) live: usize,
}

fn add(count: &AtomicUsize, n: usize) {
    count.store(
        count.load(Ordering::Relaxed).wrapping_add(n),
        Ordering::Release,
    );
}

fn subtract(count: &AtomicUsize, n: usize) {
    add(count, n.wrapping_neg());
}

impl Load {
    fn slot(&self, period: Period, parent: bool) -> &AtomicUsize {
        &self.active[(period & 1) as usize][usize::from(parent)]
    }

    fn period(&self) -> Period {
        self.period.load(Ordering::Relaxed)
    }

    /// Returns the count that includes a goroutine which was last active in `last`, or `None` if no
    /// count includes it any more.
    fn counted(&self, last: Period, parent: bool) -> Option<&AtomicUsize> {
        (last != NEVER && self.period().wrapping_sub(last) <= 1).then(|| self.slot(last, parent))
    }

    // --- for the worker ---

    /// Begins a new period. The worker calls this before it counts anything in that period.
    #[cold]
    pub(super) fn enter(&self, now: Period) {
        let passed = now.wrapping_sub(self.period());
        for period in [now, now.wrapping_sub(1)].into_iter().take(passed as usize) {
            for parent in [false, true] {
                self.slot(period, parent).store(0, Ordering::Relaxed);
            }
        }
        self.period.store(now, Ordering::Release);
    }

    /// Notes that a goroutine, last active in `last`, runs for the first time in this period.
    pub(super) fn activate(&self, last: Period, parent: bool) {
        if let Some(counted) = self.counted(last, parent) {
            subtract(counted, 1);
        }
        add(self.slot(self.period(), parent), 1);
    }

    /// Notes that a goroutine, last active in `last`, has spawned its first child.
    pub(super) fn become_parent(&self, last: Period) {
        if let Some(counted) = self.counted(last, false) {
            subtract(counted, 1);
            add(self.slot(last, true), 1);
        }
    }

    /// Notes that a goroutine was spawned on this worker.
    pub(super) fn spawn(&self) {
        add(&self.spawned, 1);
    }

    /// Notes that this worker has decided to start a goroutine.
    pub(super) fn place(&self) {
        add(&self.placed, 1);
    }

    /// Notes that a goroutine is about to run for the first time: it is active in this period.
    pub(super) fn start(&self) {
        add(&self.live, 1);
        add(self.slot(self.period(), false), 1);
    }

    /// Returns how many goroutines have started here and have not ended.
    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Returns the worker's leaves and parents, as the worker itself reads them: those of its
    /// current period and of the preceding one.
    #[inline]
    pub(super) fn own(&self) -> (usize, usize) {
        let count = |parent: usize| {
            let [newer, older] = [0, 1].map(|slot: usize| &self.active[slot][parent]);
            newer.load(Ordering::Relaxed) + older.load(Ordering::Relaxed)
        };
        (count(0), count(1))
    }

    /// Notes that a goroutine, last active in `last`, has ended.
    pub(super) fn end(&self, last: Period, parent: bool) {
        if let Some(counted) = self.counted(last, parent) {
            subtract(counted, 1);
        }
        subtract(&self.live, 1);
    }

    // --- for others ---

    /// Returns how many goroutines this worker has ever spawned.
    pub(super) fn spawned(&self) -> usize {
        self.spawned.load(Ordering::Acquire)
    }

    /// Returns how many goroutines this worker has ever placed.
    pub(super) fn placed(&self) -> usize {
        self.placed.load(Ordering::Acquire)
    }

    /// Returns the counts of the period `now`, whatever period the worker has noticed last.
    pub(super) fn read(&self, now: Period) -> Reading {
        let newest = self.period.load(Ordering::Acquire);
        let age = now.wrapping_sub(newest);
        let count = |parent| {
            // `Period::MAX` is -1: a worker may have seen the next period before the caller has.
            let newer = if age <= 1 || age == Period::MAX {
                self.slot(newest, parent).load(Ordering::Acquire)
            } else {
                0
            };
            let older = if age == 0 || age == Period::MAX {
                self.slot(newest.wrapping_sub(1), parent)
                    .load(Ordering::Acquire)
            } else {
                0
            };
            newer + older
        };
        // The parents are read first: a goroutine that becomes a parent meanwhile leaves the leaves
        // before it joins the parents, so it is read once or not at all.
        let parents = count(true);
        Reading {
            leaves: count(false),
            parents,
            live: self.live.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(load: &Load, now: Period) -> (usize, usize) {
        let Reading {
            leaves, parents, ..
        } = load.read(now);
        (leaves, parents)
    }

    /// Starts `count` goroutines in the period `now`.
    fn start(load: &Load, now: Period, count: usize) {
        load.enter(now);
        (0..count).for_each(|_| load.start());
    }

    #[test]
    fn active_in_this_period_and_the_last() {
        let load = Load::default();
        start(&load, 7, 2);
        assert_eq!(
            [7, 8, 9].map(|now| active(&load, now)),
            [(2, 0), (2, 0), (0, 0)]
        );
        // One of the goroutines runs again: it counts once.
        load.enter(8);
        load.activate(7, false);
        assert_eq!(
            [8, 9, 10].map(|now| active(&load, now)),
            [(2, 0), (1, 0), (0, 0)]
        );
        assert_eq!(load.own(), (2, 0));
        // After a long time all other goroutines are forgotten.
        load.enter(20);
        load.activate(7, false);
        assert_eq!(
            [20, 21, 22].map(|now| active(&load, now)),
            [(1, 0), (1, 0), (0, 0)]
        );
    }

    #[test]
    fn what_ends_or_becomes_a_parent_leaves_its_count() {
        let load = Load::default();
        start(&load, 3, 4);
        load.become_parent(3);
        load.end(3, false);
        assert_eq!((active(&load, 3), load.read(3).live), ((2, 1), 3));
        load.enter(4);
        load.activate(3, true);
        load.end(3, false);
        load.end(4, true);
        assert_eq!((active(&load, 4), load.read(4).live), ((1, 0), 1));
        // A goroutine that was forgotten long ago is not subtracted from the counts of others.
        start(&load, 9, 1);
        load.end(3, false);
        assert_eq!((active(&load, 9), load.read(9).live), ((1, 0), 1));
    }
}
