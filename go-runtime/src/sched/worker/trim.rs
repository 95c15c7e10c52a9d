//! Giving memory back: what a worker has not needed for a while goes to the system, so much at a time as takes a moment.
//!
//! There are two kinds of it. Idle fibers beyond a few are ended if they have not been needed since the last time. And a goroutine that
//! has once gone deep leaves pages on its stack, below what is in use, be it parked or long gone: every fiber that has run comes
//! into a queue, and what lies deeper than it reaches is given back. (Go shrinks stacks for the same reason.)
//!
//! A worker that sleeps does it in its sleep; one that does not is told now and then by the monitor, and has a budget.

use std::ptr::NonNull;
use std::time::{Duration, Instant};

use super::Worker;
use super::stacks::Pool;
use crate::clock;
use crate::sched::fiber::Fiber;
use crate::stack;

/// So many idle fibers are kept whatever happens.
const KEPT: usize = 16;
/// So many fibers are looked at in a step; it takes some ten microseconds, or more if there is much to give back.
const SOME: usize = 64;
/// What must not have been needed for so long is given back.
const AFTER: Duration = Duration::from_millis(100);
/// How many steps a worker that does not sleep takes in that time: about a hundredth of it, or, while there is much to give back, a tenth.
const STEPS: usize = 10;
const MANY_STEPS: usize = 100;
/// A step that takes so long has given back much.
const MUCH: Duration = Duration::from_micros(200);

/// How far the giving back has come.
#[derive(Default)]
pub(super) struct Trim {
    /// When it began last, and whether it still goes on.
    began: Option<Instant>,
    going: bool,
    /// How many idle fibers are still to be ended.
    pub(super) surplus: usize,
    /// For a worker that does not sleep: steps taken since the monitor's word, and how many there may be.
    steps: usize,
    budget: usize,
}

impl Pool {
    fn has_something_to_give(&self) -> bool {
        self.fibers.len() > KEPT || !self.stacks.is_empty() || !self.touched.is_empty()
    }

    /// Ends some of the idle fibers that have not been needed, the coldest first. `false`: there are none.
    ///
    /// # Safety
    /// Called in the loop of the worker that this is the pool of.
    unsafe fn end_some(&mut self) -> bool {
        let some = self.trim.surplus.min(SOME).min(self.fibers.len());
        for fiber in self.fibers.drain(..some) {
            // SAFETY: idle, and the worker's.
            unsafe {
                if fiber.as_ref().is_queued() {
                    fiber.as_ref().doom();
                } else {
                    Fiber::destroy(fiber);
                }
            }
        }
        self.trim.surplus -= some;
        self.least = self.least.min(self.fibers.len());
        some > 0
    }

    /// Gives back what lies deep in some of the stacks that have been used. `false`: there are none.
    ///
    /// # Safety
    /// As for [`end_some`](Self::end_some).
    unsafe fn discard_some(&mut self) -> bool {
        let some = self.touched.len().min(SOME);
        for fiber in self.touched.drain(..some) {
            // SAFETY: suspended, for this is the worker's loop.
            unsafe { let_go(fiber) };
        }
        some > 0
    }
}

/// # Safety
/// The fiber has come out of the queue, is suspended, and the caller is its worker.
unsafe fn let_go(fiber: NonNull<Fiber>) {
    // SAFETY: what is in the queue has not been ended; what is doomed is idle, and in no pool.
    unsafe {
        let this = fiber.as_ref();
        if this.is_doomed() {
            Fiber::destroy(fiber);
        } else {
            this.set_queued(false);
            this.discard_depths();
        }
    }
}

impl Worker {
    /// When there may be something to give back; `None` if there is nothing.
    pub(super) fn trim_due(&self, now: Instant) -> Option<Instant> {
        let pool = &mut *self.pool.borrow_mut();
        if pool.trim.going {
            return Some(now);
        }
        let began = *pool.trim.began.get_or_insert(now);
        pool.has_something_to_give().then(|| began + AFTER)
    }

    /// Takes one step. Called in the worker's loop, when [`trim_due`](Self::trim_due) says so.
    pub(super) fn trim(&self, now: Instant) {
        let pool = &mut *self.pool.borrow_mut();
        let idle = pool.fibers.len();
        if !pool.trim.going {
            pool.trim.going = true;
            pool.trim.began = Some(now);
            pool.trim.surplus = pool.least.min(idle.saturating_sub(KEPT));
            pool.least = idle;
        }
        // SAFETY: this is the worker's loop.
        if unsafe { pool.end_some() || pool.discard_some() } {
            return;
        }
        pool.stacks = Vec::new();
        pool.batch = 0;
        if stack::trim() {
            return;
        }
        pool.fibers.shrink_to(2 * idle);
        pool.touched.shrink_to(idle);
        pool.trim.going = false;
    }

    /// The monitor has found that this worker does not sleep: takes a step, if the budget allows it.
    #[cold]
    pub(super) fn trim_at_work(&self) {
        let now = clock::now();
        let due = self.trim_due(now).is_some_and(|due| due <= now);
        if due {
            self.trim(now);
        }
        let trim = &mut self.pool.borrow_mut().trim;
        trim.steps += 1;
        if clock::now() - now >= MUCH {
            trim.budget = MANY_STEPS;
        }
        if !due || trim.steps >= trim.budget.max(STEPS) {
            trim.steps = 0;
            trim.budget = STEPS;
            self.seat.note_trimmed();
        }
    }
}
