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

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Worker;
use super::stacks::Pool;
use crate::clock;
use crate::primitives::heap;
use crate::sched::fiber::Fiber;
use crate::stack;

/// So many idle fibers are kept, unless there are very many.
const KEPT: usize = 16;
/// So many fibers are looked at in a step; it takes some ten microseconds, or more if there is much
/// to give back.
const SOME: usize = 64;
/// What has not been needed for so long is given back.
const AFTER: Duration = Duration::from_millis(100);
/// The same for a worker that does not sleep: it may need again soon what it has not needed for a
/// moment.
const AFTER_AT_WORK: Duration = Duration::from_secs(1);
/// So long a worker has slept before it gives memory back: one that is called all the time is at
/// work, though not always, and what it gives back it (and, where many threads run, all others)
/// pays for. If there is no such quiet for long, it does so all the same.
const QUIET: Duration = Duration::from_millis(10);
const NO_QUIET: Duration = Duration::from_secs(1);
/// How many steps a worker that does not sleep takes each time that the monitor asks, every tenth
/// of a second: it takes about a hundredth of its time, or some more while stacks are looked at, of
/// which there are no more than pages that the system had to give.
const STEPS: usize = 10;
const DEEP_STEPS: usize = 50;

/// When so many goroutines' fibers have been ended, so much memory of the goroutines themselves has
/// become free that the allocator should give it back as well.
const MANY: usize = 10_000;
/// So few pages are not looked for.
const FEW_PAGES: usize = 256;

/// How far the giving back has come.
#[derive(Default)]
pub(super) struct Trim {
    /// When it began last, and whether it still goes on.
    began: Option<Instant>,
    going: bool,
    /// How many idle fibers are still to be ended.
    pub(super) surplus: usize,
    /// How many have been, since the allocator was told.
    ended: usize,
    /// The fibers before this place in the list are still to be looked at.
    deep: usize,
    /// What [`stack::pages_given`] said when the list was looked at last, and how many stacks had
    /// been made.
    pages: usize,
    stacks: usize,
    /// The worker's tick when the giving back began last: if it has not run anything since, there
    /// is nothing new.
    tick: usize,
    /// For a worker that does not sleep: steps taken since the monitor's word.
    steps: usize,
}

impl Pool {
    fn has_something_to_give(&self, tick: usize) -> bool {
        let stirred = self.trim.tick != tick && !self.touched.is_empty();
        self.fibers.len() > KEPT || !self.stacks.is_empty() || stirred
    }

    /// Decides what to give back.
    fn begin(&mut self, now: Instant, tick: usize) {
        let idle = self.fibers.len();
        let trim = &mut self.trim;
        trim.going = true;
        trim.began = Some(now);
        trim.tick = tick;
        // Of very many, the last few lie scattered over memory that could go as a whole.
        let kept = if idle < MANY { KEPT } else { 0 };
        trim.surplus = self.least.min(idle.saturating_sub(kept));
        self.least = idle;
        if let Some(pages) = stack::pages_given() {
            // Each new stack has got one that it still needs.
            let spent = self.made - trim.stacks;
            let surplus = (pages - trim.pages).saturating_sub(spent);
            if surplus > (self.touched.len() / 2).max(FEW_PAGES) {
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
        let some = self.trim.surplus.min(SOME).min(self.fibers.len());
        for fiber in self.fibers.drain(..some) {
            // SAFETY: idle, and the worker's.
            unsafe {
                fiber.as_ref().delist(&mut self.touched);
                Fiber::destroy(fiber);
            }
        }
        self.trim.surplus -= some;
        self.trim.ended += some;
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
        for _ in 0..SOME {
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
}

impl Worker {
    /// When there may be something to give back; `None` if there is nothing.
    pub(super) fn trim_due(&self, now: Instant) -> Option<Instant> {
        let pool = &mut *self.pool.borrow_mut();
        if pool.trim.going {
            return Some(now);
        }
        let began = *pool.trim.began.get_or_insert(now);
        let tick = self.seat.books.turn();
        let any = pool.has_something_to_give(tick) || !self.depot().is_empty();
        any.then(|| began + AFTER)
    }

    /// The same for a worker that has slept since then.
    pub(super) fn trim_due_asleep(&self, now: Instant, since: Instant) -> Option<Instant> {
        let due = self.trim_due(now)?;
        let began = self.pool.borrow().trim.began.unwrap_or(now);
        Some(due.max((since + QUIET).min(began + AFTER + NO_QUIET)))
    }

    /// Takes one step. Called in the worker's loop, or in its sleep, when
    /// [`trim_due`](Self::trim_due) says so.
    pub(super) fn trim(&self, now: Instant, asleep: bool) {
        let pool = &mut *self.pool.borrow_mut();
        if !pool.trim.going {
            pool.begin(now, self.seat.books.turn());
        }
        // SAFETY: this is the worker's loop.
        if unsafe { pool.end_some() || pool.discard_some() } {
            return;
        }
        pool.stacks = Vec::new();
        pool.batch = 0;
        if self.depot().trim_some(now) || stack::trim() {
            return;
        }
        shrink(&mut pool.fibers);
        pool.touched.shrink_to(2 * pool.touched.len());
        pool.trim.going = false;
        // For a large heap this takes a while.
        if asleep && pool.trim.ended >= MANY {
            pool.trim.ended = 0;
            self.ready.shrink();
            shrink(&mut self.local.borrow_mut());
            self.timers.borrow_mut().shrink();
            self.seat.delayed.shrink();
            heap::trim();
        }
    }

    /// The monitor has found that this worker does not sleep: takes a step, if the budget allows
    /// it.
    #[cold]
    pub(super) fn trim_at_work(&self) {
        let now = clock::now();
        let due = self.trim_due(now).is_some_and(|due| {
            let goes_on = self.pool.borrow().trim.going;
            goes_on || due + (AFTER_AT_WORK - AFTER) <= now
        });
        if due {
            self.trim(now, false);
        }
        let trim = &mut self.pool.borrow_mut().trim;
        trim.steps += 1;
        let budget = if trim.deep > 0 { DEEP_STEPS } else { STEPS };
        if !due || trim.steps >= budget {
            trim.steps = 0;
            self.seat.note_trimmed();
        }
    }
}

fn shrink<T>(queue: &mut VecDeque<T>) {
    queue.shrink_to(2 * queue.len());
}
