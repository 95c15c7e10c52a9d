//! Giving memory back: what a worker has not needed for a while goes to the system, so much at a
//! time as takes a moment.
//!
//! There are two kinds of it. Idle fibers beyond a few are ended if they have not been needed since
//! the last time. And a goroutine that has once gone deep leaves pages on its stack, below what is
//! in use, be it parked or long gone: every fiber that has run comes into a list, and what lies
//! deeper than it reaches is given back. (Go shrinks stacks for the same reason.) That costs a
//! system call for each, so it is done when the thread has been given half as many pages as there
//! are fibers in the list: until then it is not worth it.
//!
//! A worker that sleeps does it in its sleep; one that does not is told now and then by the
//! monitor, and has a budget.

use std::time::Instant;

use super::Worker;
use super::stacks::Pool;
use crate::clock;
use crate::sched::fiber::Fiber;
use crate::sched::tuning::{
    TRIM_AFTER, TRIM_AFTER_AT_WORK, TRIM_KEPT, TRIM_NO_QUIET, TRIM_QUIET, TRIM_STEP, TRIM_STEPS,
};
use crate::stack;

impl Pool {
    fn has_something_to_give(&self, tick: usize) -> bool {
        let stirred = self.trim.tick != tick && !self.touched.is_empty();
        self.fibers.len() > TRIM_KEPT || !self.stacks.is_empty() || stirred
    }

    /// Decides what to give back.
    fn begin(&mut self, now: Instant, tick: usize) {
        let idle = self.fibers.len();
        let trim = &mut self.trim;
        trim.going = true;
        trim.began = Some(now);
        trim.tick = tick;
        trim.surplus = self.least.min(idle.saturating_sub(TRIM_KEPT));
        self.least = idle;
        if let Some(pages) = stack::pages_given() {
            // Each new stack has got one that it still needs.
            let spent = self.made - trim.stacks;
            let surplus = (pages - trim.pages).saturating_sub(spent);
            if surplus > self.touched.len() / 2 {
                (trim.pages, trim.stacks) = (pages, self.made);
                trim.deep = self.touched.len();
            }
        }
    }

    /// Ends some of the idle fibers that have not been needed, the coldest first. `false`: there
    /// are none.
    ///
    /// # Safety
    /// Called in the loop of the worker that this is the pool of.
    unsafe fn end_some(&mut self) -> bool {
        let some = self.trim.surplus.min(TRIM_STEP).min(self.fibers.len());
        for fiber in self.fibers.drain(..some) {
            // SAFETY: idle, and the worker's.
            unsafe {
                fiber.as_ref().delist(&mut self.touched);
                Fiber::destroy(fiber);
            }
        }
        self.trim.surplus -= some;
        self.least = self.least.min(self.fibers.len());
        some > 0
    }

    /// Gives back what lies deep in some of the stacks that have been used. `false`: there are
    /// none.
    ///
    /// # Safety
    /// As for [`end_some`](Self::end_some).
    unsafe fn discard_some(&mut self) -> bool {
        let mut any = false;
        for _ in 0..TRIM_STEP {
            // From where the list ended when this began down to its start: what is taken out is
            // replaced by the last, which has come since, or has been looked at.
            self.trim.deep = self.trim.deep.min(self.touched.len());
            let Some(at) = self.trim.deep.checked_sub(1) else {
                break;
            };
            self.trim.deep = at;
            let fiber = self.touched[at];
            // SAFETY: alive, as it is in the list, and suspended, for this is the worker's loop.
            unsafe {
                fiber.as_ref().delist(&mut self.touched);
                fiber.as_ref().discard_depths();
            }
            any = true;
        }
        any
    }

    fn shrink(&mut self) {
        let (fibers, touched) = (self.fibers.len(), self.touched.len());
        self.fibers.shrink_to(2 * fibers);
        self.touched.shrink_to(2 * touched);
    }
}

impl Worker {
    /// Returns when there may be something to give back; `None` if there is nothing.
    fn trim_due(&self, now: Instant) -> Option<Instant> {
        let pool = &mut *self.stacks.pool.borrow_mut();
        if pool.trim.going {
            return Some(now);
        }
        let began = *pool.trim.began.get_or_insert(now);
        let turn = self.shared.stats.turn();
        let any = pool.has_something_to_give(turn) || !self.runtime.depot.is_empty();
        any.then(|| began + TRIM_AFTER)
    }

    /// Returns the same for a worker that has slept since then.
    pub(super) fn trim_due_asleep(&self, now: Instant, since: Instant) -> Option<Instant> {
        let due = self.trim_due(now)?;
        let began = self.stacks.pool.borrow().trim.began.unwrap_or(now);
        Some(due.max((since + TRIM_QUIET).min(began + TRIM_AFTER + TRIM_NO_QUIET)))
    }

    /// Takes one step. Called in the worker's loop, or in its sleep, when
    /// [`trim_due`](Self::trim_due) says so.
    pub(super) fn trim(&self, now: Instant) {
        let pool = &mut *self.stacks.pool.borrow_mut();
        if !pool.trim.going {
            pool.begin(now, self.shared.stats.turn());
        }
        // SAFETY: this is the loop of the worker that the pool belongs to.
        if unsafe { pool.end_some() || pool.discard_some() } {
            return;
        }
        pool.stacks = Vec::new();
        pool.batch = 0;
        if self.runtime.depot.trim_some(now) || stack::trim() {
            return;
        }
        pool.shrink();
        pool.trim.going = false;
        self.run_queue.shrink();
        self.unstarted.shrink();
        self.timers.shrink();
        self.shared.delayed.shrink();
    }

    /// Takes a step, if the budget allows it: the monitor has found that this worker does not
    /// sleep.
    #[cold]
    pub(super) fn trim_at_work(&self) {
        let now = clock::now();
        let due = self.trim_due(now).is_some_and(|due| {
            let goes_on = self.stacks.pool.borrow().trim.going;
            goes_on || due + (TRIM_AFTER_AT_WORK - TRIM_AFTER) <= now
        });
        if due {
            self.trim(now);
        }
        let trim = &mut self.stacks.pool.borrow_mut().trim;
        trim.steps += 1;
        if !due || trim.steps >= TRIM_STEPS {
            trim.steps = 0;
            self.shared.note_trimmed();
        }
    }
}
