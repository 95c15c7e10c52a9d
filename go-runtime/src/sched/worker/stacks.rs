//! A worker's stacks: where a goroutine gets one when it starts, and what becomes of it afterwards.
//!
//! Idle fibers are kept, the hottest last, and so are stacks made in advance; what is not needed is
//! given back by `trim`. Goroutines for which the system has no memory wait here until another one
//! ends.

use std::collections::VecDeque;
use std::io;
use std::ptr::NonNull;

use super::Worker;
use super::trim::Trim;
use crate::sched::fiber::Fiber;
use crate::sched::task::TaskRef;
use crate::stack::{self, Stack};

/// So many stacks are made at a time, if many are needed: one call of the system then guards them
/// all.
const BATCH: usize = 64;
/// So many of those that wait for a stack try again at a time: each attempt costs system calls.
const TRIED: usize = 8;

/// Fibers and stacks that nobody uses, and what is known of those that may have memory to give
/// back.
#[derive(Default)]
pub(super) struct Pool {
    /// Of the default size, the hottest last.
    pub(super) fibers: VecDeque<NonNull<Fiber>>,
    /// Of the default size, never used.
    pub(super) stacks: Vec<Stack>,
    /// How many stacks to make next time.
    pub(super) batch: usize,
    /// How many have been made.
    pub(super) made: usize,
    /// The least number of idle fibers since the last trim began: so many were not needed.
    pub(super) least: usize,
    /// Fibers that have run since their depths were given back.
    pub(super) touched: Vec<NonNull<Fiber>>,
    pub(super) trim: Trim,
}

impl Pool {
    fn pop(&mut self) -> Option<NonNull<Fiber>> {
        let fiber = self.fibers.pop_back()?;
        let left = self.fibers.len();
        self.least = self.least.min(left);
        self.trim.surplus = self.trim.surplus.min(left);
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
                Ok(stack) => Fiber::new(stack, size == default),
                Err(error) => {
                    self.wait_for_stack(task, size, &error);
                    return None;
                }
            },
        };
        if self.runtime.shortage.is_on() {
            self.runtime
                .shortage
                .end(size, header.starved.replace(false));
        }
        // SAFETY: the fiber is idle and ours.
        unsafe { fiber.as_ref() }.assign(task, header.label(), self.period.get());
        self.seat.load.start();
        Some(fiber)
    }

    /// A stack, from those made in advance if it is of the default size. The more are needed at a
    /// stretch, the more are made at once.
    fn new_stack(&self, size: usize) -> io::Result<Stack> {
        let mut pool = self.pool.borrow_mut();
        let made = if size == self.runtime.default_stack_size() {
            if let Some(stack) = pool.stacks.pop() {
                return Ok(stack);
            }
            pool.batch = (2 * pool.batch).clamp(1, BATCH);
            pool.stacks = Stack::new_batch(size, pool.batch)?;
            pool.made += pool.stacks.len();
            pool.stacks.pop()
        } else {
            Stack::new_batch(size, 1)?.pop()
        };
        made.ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    #[cold]
    fn wait_for_stack(&self, task: TaskRef, size: usize, error: &io::Error) {
        // SAFETY: the scheduler's reference is held until the goroutine has ended.
        let first = !unsafe { task.get() }.starved.replace(true);
        self.runtime.shortage.begin(size, first, error);
        self.stackless.borrow_mut().push_back(task);
    }

    /// Queues some of those that wait for a stack again; if one of them gets one, the next are
    /// tried. `false`: nobody waits.
    pub(super) fn retry_stackless(&self) -> bool {
        self.stack_freed.set(false);
        let mut waiting = self.stackless.borrow_mut();
        let some = waiting.len().min(TRIED);
        self.local.borrow_mut().extend(waiting.drain(..some));
        some > 0
    }

    pub(super) fn recycle(&self, fiber: NonNull<Fiber>) {
        self.stack_freed.set(true);
        // SAFETY: idle, and this worker's.
        let size = unsafe { fiber.as_ref() }.stack_size();
        if size == self.runtime.default_stack_size() {
            self.pool.borrow_mut().fibers.push_back(fiber);
        } else {
            // SAFETY: its task has ended, and this is the worker's loop.
            unsafe { Fiber::destroy(fiber) };
        }
    }

    /// The fiber is going to run, for the first time since its depths were given back.
    #[cold]
    pub(super) fn note_touched(&self, fiber: NonNull<Fiber>) {
        Fiber::enlist(fiber, &mut self.pool.borrow_mut().touched);
    }
}
