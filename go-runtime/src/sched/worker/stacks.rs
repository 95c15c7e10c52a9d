//! A worker's stacks: where a goroutine gets one when it starts, and what becomes of it afterwards.
//!
//! Idle fibers are kept, the hottest last, and so are stacks made in advance. What a worker has not needed for a while it gives
//! back, bit by bit ([`Worker::trim`]). Goroutines for which the system has no memory wait here until another one ends.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use super::Worker;
use crate::clock;
use crate::primitives::atomic::Ordering;
use crate::sched::fiber::Fiber;
use crate::sched::task::TaskRef;
use crate::stack::{self, Stack};

/// So many idle fibers are kept whatever happens.
const KEPT: usize = 16;
/// So many stacks are made at a time, if many are needed: one call of the system then guards them all.
const BATCH: usize = 64;
/// So many fibers are ended at a time; it takes some ten microseconds.
const TRIMMED: usize = 64;
/// How long a stack must not have been needed before it is given back.
pub(super) const TRIM_AFTER: Duration = Duration::from_millis(100);

/// Fibers and stacks that nobody uses.
#[derive(Default)]
pub(super) struct Pool {
    /// Of the default size, the hottest last.
    fibers: VecDeque<NonNull<Fiber>>,
    /// Of the default size, never used.
    stacks: Vec<Stack>,
    /// How many stacks to make next time.
    batch: usize,
    /// The least number of idle fibers since the last trim began: so many were not needed.
    least: usize,
    /// There may be something to give back.
    used: bool,
    /// When the last trim began, and whether it has ended.
    trimmed: Option<Instant>,
    trimming: bool,
    /// How many fibers it has still to end.
    surplus: usize,
}

impl Pool {
    fn pop(&mut self) -> Option<NonNull<Fiber>> {
        let fiber = self.fibers.pop_back()?;
        let left = self.fibers.len();
        self.least = self.least.min(left);
        self.surplus = self.surplus.min(left);
        Some(fiber)
    }
}

impl Worker {
    /// Gives a task its stack.
    pub(super) fn start(&self, task: TaskRef) -> Option<NonNull<Fiber>> {
        // SAFETY: the scheduler's reference is held until the goroutine has ended.
        let header = unsafe { task.get() };
        let default = self.runtime.default_stack_size();
        let size = header.stack_size().map_or(default, stack::round_size);
        let idle = if size == default {
            self.pool.borrow_mut().pop()
        } else {
            None
        };
        let fiber = match idle {
            Some(fiber) => fiber,
            None => match self.new_stack(size) {
                Ok(stack) => Fiber::new(stack),
                Err(error) => {
                    self.wait_for_stack(task, size, &error);
                    return None;
                }
            },
        };
        if self.runtime.out_of_stacks.load(Ordering::Relaxed) {
            let short = !self.stackless.borrow().is_empty();
            self.runtime.out_of_stacks.store(short, Ordering::Relaxed);
        }
        header.fiber.set(Some(fiber));
        // SAFETY: the fiber is idle and ours.
        unsafe { fiber.as_ref() }.assign(task);
        self.seat.books.start();
        Some(fiber)
    }

    /// A stack, from those made in advance if it is of the default size. The more are needed at a stretch, the more are made at once.
    fn new_stack(&self, size: usize) -> io::Result<Stack> {
        let mut pool = self.pool.borrow_mut();
        pool.used = true;
        let made = if size == self.runtime.default_stack_size() {
            if let Some(stack) = pool.stacks.pop() {
                return Ok(stack);
            }
            pool.batch = (2 * pool.batch).clamp(1, BATCH);
            pool.stacks = Stack::new_batch(size, pool.batch)?;
            pool.stacks.pop()
        } else {
            Stack::new_batch(size, 1)?.pop()
        };
        made.ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    #[cold]
    fn wait_for_stack(&self, task: TaskRef, size: usize, error: &io::Error) {
        if !self.runtime.out_of_stacks.swap(true, Ordering::Relaxed) {
            // Memory is short, so none is allocated; and one write keeps the message in one piece.
            let mut text = io::Cursor::new([0; 1024]);
            let _ = writeln!(
                text,
                "go-runtime: no memory for a stack of {size} bytes ({error}). The goroutine waits until another one ends, \
                 and new ones are refused meanwhile. Raise the limit on memory (ulimit -v) or on mappings \
                 (vm.max_map_count), set a smaller GOSTACK, or run fewer goroutines at once."
            );
            let length = text.position() as usize;
            let _ = io::stderr().write_all(&text.get_ref()[..length]);
        }
        self.stackless.borrow_mut().push_back(task);
    }

    /// Queues those that wait for a stack again.
    pub(super) fn retry_stackless(&self) {
        let waiting = self.stackless.take();
        self.ready.borrow_mut().extend(waiting);
    }

    pub(super) fn has_idle_fibers(&self) -> bool {
        !self.pool.borrow().fibers.is_empty()
    }

    pub(super) fn recycle(&self, fiber: NonNull<Fiber>) {
        let mut pool = self.pool.borrow_mut();
        pool.used = true;
        // SAFETY: idle, and this worker's.
        let size = unsafe { fiber.as_ref() }.stack_size();
        if size == self.runtime.default_stack_size() {
            pool.fibers.push_back(fiber);
        } else {
            drop(pool);
            // SAFETY: its task has ended, and this is the worker's loop.
            unsafe { Fiber::destroy(fiber) };
        }
    }

    /// When there may be something to give back; `None` if there is nothing.
    pub(super) fn trim_due(&self, now: Instant) -> Option<Instant> {
        let pool = &mut *self.pool.borrow_mut();
        let last = *pool.trimmed.get_or_insert(now);
        if pool.trimming {
            Some(now)
        } else {
            pool.used.then(|| last + TRIM_AFTER)
        }
    }

    /// The monitor has found that this worker does not sleep.
    #[cold]
    pub(super) fn trim_if_due(&self) {
        let now = clock::now();
        if self.trim_due(now).is_some_and(|due| due <= now) {
            self.trim(now);
        } else {
            self.seat.note_trimmed();
        }
    }

    /// Gives back some of what has not been needed since the last trim began, so much as takes a moment. Called in the worker's loop,
    /// when [`trim_due`](Self::trim_due) says so.
    pub(super) fn trim(&self, now: Instant) {
        let pool = &mut *self.pool.borrow_mut();
        let idle = pool.fibers.len();
        if !pool.trimming {
            pool.trimming = true;
            pool.trimmed = Some(now);
            pool.surplus = pool.least.min(idle.saturating_sub(KEPT));
            pool.least = idle;
        }
        if pool.surplus > 0 {
            let some = pool.surplus.min(TRIMMED);
            for fiber in pool.fibers.drain(..some) {
                // SAFETY: idle, and this is the worker's loop.
                unsafe { Fiber::destroy(fiber) };
            }
            pool.surplus -= some;
            pool.least = pool.least.min(idle - some);
            return;
        }
        for fiber in pool.fibers.iter().take(KEPT) {
            // SAFETY: as above.
            unsafe { fiber.as_ref().discard_depths() };
        }
        pool.stacks = Vec::new();
        pool.batch = 0;
        if stack::trim() {
            return;
        }
        pool.fibers.shrink_to(2 * idle);
        pool.trimming = false;
        pool.used = idle > KEPT;
    }
}
