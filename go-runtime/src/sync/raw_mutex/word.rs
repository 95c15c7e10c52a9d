//! The state word of a mutex: the meaning of its bits, and its next value when a contender arrives,
//! takes the lock, or queues.
//!
//! These are pure functions from state to state; `RawMutex` makes the changes. The parent module
//! explains the modes.
//!
//! ```text
//! bits  15 .. 5            4     3         2      1        0
//!      [count of MISSED | LATE | STARVING | WOKEN | WAITING | LOCKED]
//! ```

use std::time::Instant;

use crate::clock;

/// The lock is taken.
pub(super) const LOCKED: u16 = 1;
/// A waiter is in the queue.
pub(super) const WAITING: u16 = 2;
/// A contender is on its way to try for the lock, so an unlock need not wake another one.
pub(super) const WOKEN: u16 = 4;
/// Waiters go before newcomers. Set only while a contender is in the queue or on its way.
pub(super) const STARVING: u16 = 8;
/// A contender has been on its way for long. It may be in the run queue behind a newcomer, so a
/// newcomer yields before it takes the lock.
pub(super) const LATE: u16 = 16;
/// One contender that is on its way, but no longer keeps an unlock from waking another waiter. The
/// bits from this one upward count such contenders. The count grows by one each millisecond while
/// the system does not run the thread of their worker.
const MISSED: u16 = 32;
const MOST_MISSED: u16 = u16::MAX / MISSED * MISSED;

/// A thread or goroutine that did not get the lock at once.
#[derive(Default)]
pub(super) struct Contender {
    /// Whether the contender is on its way, and so represented by `WOKEN` or a `MISSED`.
    pub(super) is_woken: bool,
    /// Whether the contender came while others were late, and is on its way ahead of them.
    pub(super) is_ahead: bool,
    /// Whether the contender has been in the queue.
    pub(super) has_waited: bool,
    /// When the contender begins to starve, if it has waited.
    pub(super) deadline: Option<Instant>,
}

/// Returns whether a contender was woken, or spins, and has neither taken the lock nor queued
/// since.
pub(super) fn is_on_its_way(state: u16) -> bool {
    state & WOKEN != 0 || state >= MISSED
}

/// Returns whether the count of `MISSED` cannot grow.
fn is_full(state: u16) -> bool {
    state >= MOST_MISSED
}

/// Returns the state with one more contender on its way. (In starvation mode a waiter is woken even
/// if another contender spins, so `WOKEN` may be set already.)
pub(super) fn sent(state: u16) -> u16 {
    if state & WOKEN != 0 && !is_full(state) {
        state + MISSED
    } else {
        state | WOKEN
    }
}

/// Returns the state after one of the contenders on their way has arrived.
fn arrived(state: u16) -> u16 {
    if state >= MISSED {
        state - MISSED
    } else {
        state & !WOKEN
    }
}

impl Contender {
    /// Returns whether the contender has waited for so long that it starves.
    pub(super) fn is_starving(&self) -> bool {
        self.deadline.is_some_and(|end| clock::now() >= end)
    }

    /// Returns whether the contender may take the lock. (A newcomer that finds others late queues
    /// if it cannot be counted because the count is full.)
    pub(super) fn may_take(&self, state: u16) -> bool {
        let is_for_all = state & STARVING == 0 && (state & LATE == 0 || !is_full(state));
        state & LOCKED == 0 && (is_for_all || self.is_woken)
    }

    /// Returns the state in which the contender has the lock.
    pub(super) fn take(&self, state: u16) -> u16 {
        let mut taken = (state | LOCKED) & !LATE;
        if self.is_ahead && state & WOKEN != 0 {
            // The late contenders no longer hold back a wake-up: the next unlock wakes a waiter.
            taken -= WOKEN;
        } else if self.is_woken {
            taken = arrived(taken);
        } else if state & LATE != 0 && state & WOKEN != 0 && !is_full(state) {
            // The late contender, so far represented by `WOKEN`, becomes a `MISSED` one: the next
            // unlock wakes a waiter.
            taken = taken - WOKEN + MISSED;
        }
        let waited_little = || self.has_waited && !self.is_starving();
        if state & STARVING != 0 && (state & WAITING == 0 || waited_little()) {
            taken &= !STARVING;
        }
        taken
    }

    /// Returns the state in which the contender is in the queue.
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
