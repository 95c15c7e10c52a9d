//! Trimming: a worker gives memory that it has not needed for a while back to the system, in steps
//! that take a few microseconds each.
//!
//! Two kinds of memory are given back:
//!
//! * The memory of idle fibers beyond a few. Those that have not been needed since the last trim
//!   are destroyed.
//! * Pages of stacks below what is in use. A goroutine that once had many frames leaves such pages
//!   behind, whether it is parked or has ended. Every fiber that has run enters a list, and the
//!   pages below the part of its stack in use are given back. (Go shrinks stacks for the same
//!   reason.) Giving them back takes a system call for each fiber. So it happens only once the
//!   thread has received from the system more than half as many pages as there are fibers in the
//!   list.
//!
//! A sleeping worker trims in its sleep. The monitor asks a worker that does not sleep to trim now
//! and then, in a limited number of steps. Only the worker's own thread uses its pool; the depot
//! and the table of free stacks, which all workers share, are trimmed last.

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
    fn has_something_to_give(&self, turn: usize) -> bool {
        let stirred = self.trim.turn != turn && !self.touched.is_empty();
        self.fibers.len() > TRIM_KEPT || !self.stacks.is_empty() || stirred
    }

    /// Begins a trim: decides what to give back.
    fn begin(&mut self, now: Instant, turn: usize) {
        let idle = self.fibers.len();
        let trim = &mut self.trim;
        trim.going = true;
        trim.began = Some(now);
        trim.turn = turn;
        trim.surplus = self.least.min(idle.saturating_sub(TRIM_KEPT));
        self.least = idle;
        if let Some(pages) = stack::pages_given() {
            // Each new stack accounts for one page, which it still needs.
            let spent = self.made - trim.stacks;
            let surplus = (pages - trim.pages).saturating_sub(spent);
            if surplus > self.touched.len() / 2 {
                (trim.pages, trim.stacks) = (pages, self.made);
                trim.deep = self.touched.len();
            }
        }
    }

    /// Destroys some of the unneeded idle fibers, the coldest first. Returns whether there were
    /// any.
    ///
    /// # Safety
    /// Called in the loop of the worker that owns this pool.
    unsafe fn end_some(&mut self) -> bool {
        let some = self.trim.surplus.min(TRIM_STEP).min(self.fibers.len());
        for fiber in self.fibers.drain(..some) {
            // SAFETY: a fiber in the pool is idle and belongs to the pool's worker. The caller
            // makes sure that this runs in that worker's loop, outside of any fiber. The fiber has
            // just left the pool, and leaves the list here, so it is not used again.
            unsafe {
                fiber.as_ref().delist(&mut self.touched);
                Fiber::destroy(fiber);
            }
        }
        self.trim.surplus -= some;
        self.least = self.least.min(self.fibers.len());
        some > 0
    }

    /// Gives back the unused parts of some used stacks. Returns whether there were any such stacks.
    ///
    /// # Safety
    /// Called in the loop of the worker that owns this pool.
    unsafe fn discard_some(&mut self) -> bool {
        let mut any = false;
        for _ in 0..TRIM_STEP {
            // Visits the list backwards, from its end at the beginning of the trim to its start.
            // `delist` fills a gap with the last fiber of the list, which either came after the
            // trim began or was already visited.
            self.trim.deep = self.trim.deep.min(self.touched.len());
            let Some(at) = self.trim.deep.checked_sub(1) else {
                break;
            };
            self.trim.deep = at;
            let fiber = self.touched[at];
            // SAFETY: a fiber leaves the list before it is destroyed, so this one is alive. It is
            // suspended, since the caller makes sure that this is the loop of its worker, outside
            // of any fiber.
            unsafe {
                fiber.as_ref().delist(&mut self.touched);
                fiber.as_ref().discard_unused_stack();
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
    /// Returns when there may be something to give back, or `None` if there is nothing.
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

    /// Returns when there may be something to give back, for a worker that has slept since `since`.
    pub(super) fn trim_due_asleep(&self, now: Instant, since: Instant) -> Option<Instant> {
        let due = self.trim_due(now)?;
        let began = self.stacks.pool.borrow().trim.began.unwrap_or(now);
        Some(due.max((since + TRIM_QUIET).min(began + TRIM_AFTER + TRIM_NO_QUIET)))
    }

    /// Takes one step of a trim. Called in the worker's loop, or in its sleep, when
    /// [`trim_due`](Self::trim_due) has come.
    pub(super) fn trim(&self, now: Instant) {
        let pool = &mut *self.stacks.pool.borrow_mut();
        if !pool.trim.going {
            pool.begin(now, self.shared.stats.turn());
        }
        // SAFETY: only this worker's loop calls `trim`, outside of any fiber, and the pool is this
        // worker's own.
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

    /// Takes one step of a trim, if the budget allows it. Called when the monitor has found that
    /// this worker does not sleep.
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
