//! The word of a mutex: what its bits say, and what it becomes when somebody comes, takes the lock,
//! or waits. These are functions from state to state; `RawMutex` makes the changes.

use std::time::Instant;

use crate::clock;

pub(super) const LOCKED: u16 = 1;
/// Somebody is in the queue.
pub(super) const WAITING: u16 = 2;
/// Somebody is on its way to try for the lock: nobody else need be woken.
pub(super) const WOKEN: u16 = 4;
/// Those who wait go first. Only while somebody is in the queue or on its way.
pub(super) const STARVING: u16 = 8;
/// Who is on its way may be behind whoever comes.
pub(super) const LATE: u16 = 16;
/// One on its way for which nobody waits any more. The bits from here on count them: one more each
/// millisecond, if the system does not run the thread of their worker.
const MISSED: u16 = 32;
const MOST_MISSED: u16 = u16::MAX / MISSED * MISSED;

/// One who did not get the lock at once.
#[derive(Default)]
pub(super) struct Contender {
    /// It is on its way, and `WOKEN` was set to say so.
    pub(super) is_woken: bool,
    /// It came when others were late, and is on its way before them.
    pub(super) is_ahead: bool,
    /// It has waited.
    pub(super) has_waited: bool,
    /// When its patience ends, if it has waited.
    pub(super) deadline: Option<Instant>,
}

/// Whether somebody has been woken, or looks, and has not come yet.
pub(super) fn is_on_its_way(state: u16) -> bool {
    state & WOKEN != 0 || state >= MISSED
}

/// Whether one more could not be counted.
fn is_full(state: u16) -> bool {
    state >= MOST_MISSED
}

/// The state when one more is on its way. (While others starve, one is woken though another one may
/// have looked.)
pub(super) fn sent(state: u16) -> u16 {
    if state & WOKEN != 0 && !is_full(state) {
        state + MISSED
    } else {
        state | WOKEN
    }
}

/// The state when one of those on their way has come.
fn arrived(state: u16) -> u16 {
    if state >= MISSED {
        state - MISSED
    } else {
        state & !WOKEN
    }
}

impl Contender {
    pub(super) fn is_out_of_patience(&self) -> bool {
        self.deadline.is_some_and(|end| clock::now() >= end)
    }

    /// (One who comes when others are late, and cannot be counted, queues.)
    pub(super) fn may_take(&self, state: u16) -> bool {
        let is_for_all = state & STARVING == 0 && (state & LATE == 0 || !is_full(state));
        state & LOCKED == 0 && (is_for_all || self.is_woken)
    }

    /// The state in which this one has the lock.
    pub(super) fn take(&self, state: u16) -> u16 {
        let mut taken = (state | LOCKED) & !LATE;
        if self.is_ahead && state & WOKEN != 0 {
            // The others are not waited for any more: the next unlocking wakes another one.
            taken -= WOKEN;
        } else if self.is_woken {
            taken = arrived(taken);
        } else if state & LATE != 0 && state & WOKEN != 0 && !is_full(state) {
            // As above.
            taken = taken - WOKEN + MISSED;
        }
        let waited_little = || self.has_waited && !self.is_out_of_patience();
        if state & STARVING != 0 && (state & WAITING == 0 || waited_little()) {
            taken &= !STARVING;
        }
        taken
    }

    /// The state in which this one is in the queue.
    pub(super) fn queue(&self, state: u16, starves: bool) -> u16 {
        let mut queued = state | WAITING;
        if self.is_woken {
            queued = arrived(queued);
        }
        if starves {
            queued |= STARVING;
        }
        queued
    }
}
