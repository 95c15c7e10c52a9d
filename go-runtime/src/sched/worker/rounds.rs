//! A worker's rounds, and the monitor's ticks as the worker sees them.
//!
//! A *turn* is one search of the worker's queues, which as a rule ends in running one goroutine. A
//! *round* is up to [`ROUND`] turns; it also ends when the worker sees a new tick of the monitor.
//! At the end of a round the worker handles everything that could otherwise wait for ever. The
//! monitor's tick serves as the clock: reading it takes one load, so no turn asks the system for
//! the time. Only the worker's thread uses this.

use std::cell::Cell;

use crate::sched::load::{self, Period};
use crate::sched::shared::WorkerShared;
use crate::sched::task::MonitorTick;
use crate::sched::tuning::ROUND;

pub(super) struct Rounds {
    /// The monitor's tick that this worker has seen last.
    tick: Cell<MonitorTick>,
    /// The period of that tick.
    period: Cell<Period>,
    /// The turn with which the round ends.
    last_turn: Cell<usize>,
}

impl Rounds {
    pub(super) fn new() -> Rounds {
        Rounds {
            tick: Cell::new(0),
            period: Cell::new(load::NEVER),
            last_turn: Cell::new(0),
        }
    }

    /// Returns whether the round ends with this turn.
    #[inline]
    pub(super) fn ends_with(&self, turn: usize) -> bool {
        turn == self.last_turn.get()
    }

    /// Returns the turn with which the round ends, which changes when a round begins.
    pub(super) fn last_turn(&self) -> usize {
        self.last_turn.get()
    }

    /// Begins a round with the turn after `turn`.
    pub(super) fn begin(&self, turn: usize) {
        self.last_turn.set(turn.wrapping_add(ROUND));
    }

    /// Lets the round that begins with the turn after `turn` end within so many turns, if it would
    /// be longer.
    pub(super) fn end_within(&self, turn: usize, turns: usize) {
        self.last_turn.set(turn.wrapping_add(turns.min(ROUND)));
    }

    /// Lets the round end with the turn after `turn`.
    pub(super) fn end_soon(&self, turn: usize) {
        self.last_turn.set(turn.wrapping_add(1));
    }

    /// Notes the monitor's tick, and returns whether it is a new one.
    #[inline]
    pub(super) fn note(&self, tick: MonitorTick, shared: &WorkerShared) -> bool {
        let is_new = self.tick.get() != tick;
        if is_new {
            self.begin_tick(tick, shared);
        }
        is_new
    }

    /// Ends the round at the next turn, and begins a period if this tick is the first of a period.
    #[cold]
    fn begin_tick(&self, tick: MonitorTick, shared: &WorkerShared) {
        self.tick.set(tick);
        self.last_turn.set(shared.stats.turn().wrapping_add(1));
        let period = load::period(tick);
        if self.period.replace(period) != period {
            shared.load.enter(period);
        }
    }

    #[inline]
    pub(super) fn tick(&self) -> MonitorTick {
        self.tick.get()
    }

    #[inline]
    pub(super) fn period(&self) -> Period {
        self.period.get()
    }
}
