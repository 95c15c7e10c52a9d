//! A worker's stacks: how a goroutine gets a stack when it starts, and where the stack goes when
//! the goroutine ends.
//!
//! Idle fibers are kept, the hottest last, and so are stacks made in advance; [`trim`](super::trim)
//! gives back what is not needed. Tasks for which the system has no memory wait here until another
//! goroutine ends. Only the worker's thread uses this, in its own loop.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ptr::NonNull;
use std::time::Instant;

use crate::clock;
use crate::sched::fiber::Fiber;
use crate::sched::load::Period;
use crate::sched::runtime::Runtime;
use crate::sched::task::TaskRef;
use crate::sched::tuning::{STACK_BATCH, STACK_RETRY, STACK_TRIES};
use crate::stack::{self, Stack};

pub(super) struct Stacks {
    runtime: &'static Runtime,
    /// The worker's index.
    worker: usize,
    pub(super) pool: RefCell<Pool>,
    /// Tasks that wait for the memory of a stack.
    waiting: RefCell<VecDeque<TaskRef>>,
    /// Whether a stack of this worker has become free since the waiting tasks last tried.
    freed: Cell<bool>,
    /// When the waiting tasks try again even if no stack has become free.
    retry: Cell<Option<Instant>>,
}

/// A worker's unused fibers and stacks, and the list of fibers whose stacks may have memory to give
/// back.
#[derive(Default)]
pub(super) struct Pool {
    /// Idle fibers with stacks of the default size, the hottest last.
    pub(super) fibers: VecDeque<NonNull<Fiber>>,
    /// Stacks of the default size that have never been used.
    pub(super) stacks: Vec<Stack>,
    /// Number of stacks to make the next time.
    pub(super) batch: usize,
    /// Number of stacks that have been made.
    pub(super) made: usize,
    /// Minimum number of idle fibers since the last trim began. That many fibers were not needed.
    pub(super) least: usize,
    /// Fibers that have run since the unused parts of their stacks were given back.
    pub(super) touched: Vec<NonNull<Fiber>>,
    pub(super) trim: Trim,
}

/// The state of a trim, which goes on over several steps.
#[derive(Default)]
pub(super) struct Trim {
    /// When the last trim began, and whether it still goes on.
    pub(super) began: Option<Instant>,
    pub(super) going: bool,
    /// Number of idle fibers that are still to be destroyed.
    pub(super) surplus: usize,
    /// Number of fibers at the start of `touched` whose stacks' unused parts are still to be given
    /// back.
    pub(super) deep: usize,
    /// The result of [`stack::pages_given`], and the number of stacks made, when unused parts of
    /// stacks were last given back.
    pub(super) pages: usize,
    pub(super) stacks: usize,
    /// The worker's turn when the last trim began: if the worker has run nothing since, there is
    /// nothing new to give back.
    pub(super) turn: usize,
    /// Number of steps taken since the monitor last asked a worker that does not sleep to trim.
    pub(super) steps: usize,
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

impl Stacks {
    pub(super) fn new(runtime: &'static Runtime, worker: usize) -> Stacks {
        Stacks {
            runtime,
            worker,
            pool: RefCell::default(),
            waiting: RefCell::default(),
            freed: Cell::new(false),
            retry: Cell::new(None),
        }
    }

    /// Gives a task its stack, and returns the fiber that runs it. Returns `None` if there is no
    /// memory for a stack; the task then waits.
    #[inline(always)]
    pub(super) fn assign(&self, task: TaskRef, now: Period) -> Option<NonNull<Fiber>> {
        // SAFETY: the task has not started, so the scheduler's reference, which only `TaskRef::run`
        // gives back, keeps it alive.
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
                Ok(stack) => Fiber::new(stack, self.worker, size == default),
                Err(error) => {
                    let first = !header.starved.replace(true);
                    self.runtime.shortage.begin(size, first, &error);
                    self.waiting.borrow_mut().push_back(task);
                    return None;
                }
            },
        };
        if self.runtime.shortage.is_on() {
            self.runtime
                .shortage
                .end(size, header.starved.replace(false));
        }
        // SAFETY: the fiber was in the pool of this worker, which holds live fibers only, or is
        // new; only this worker destroys it, when it is idle again.
        unsafe { fiber.as_ref() }.assign(task, header.label(), header.spawner(), now);
        Some(fiber)
    }

    /// Returns a new stack. Stacks of the default size are made in advance: each time that none is
    /// left, twice as many are made as the last time, up to a limit.
    fn new_stack(&self, size: usize) -> io::Result<Stack> {
        let mut pool = self.pool.borrow_mut();
        let made = if size == self.runtime.default_stack_size() {
            if let Some(stack) = pool.stacks.pop() {
                return Ok(stack);
            }
            pool.batch = (2 * pool.batch).clamp(1, STACK_BATCH);
            pool.stacks = Stack::new_batch(size, pool.batch)?;
            pool.made += pool.stacks.len();
            pool.stacks.pop()
        } else {
            Stack::new_batch(size, 1)?.pop()
        };
        made.ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// Takes back a fiber of this worker whose task has ended.
    #[inline(always)]
    pub(super) fn recycle(&self, fiber: NonNull<Fiber>) {
        self.freed.set(true);
        // SAFETY: only this worker destroys its fibers, and this one has just run.
        let size = unsafe { fiber.as_ref() }.stack_size();
        if size == self.runtime.default_stack_size() {
            self.pool.borrow_mut().fibers.push_back(fiber);
        } else {
            // SAFETY: the fiber's task has ended, so the fiber is idle. The caller is the loop of
            // the fiber's worker, and does not use the fiber again.
            unsafe { Fiber::destroy(fiber) };
        }
    }

    /// Notes that the fiber is going to run, for the first time since the unused part of its stack
    /// was given back.
    #[cold]
    pub(super) fn note_touched(&self, fiber: NonNull<Fiber>) {
        Fiber::enlist(fiber, &mut self.pool.borrow_mut().touched);
    }

    // --- tasks that wait for a stack ---

    /// Returns whether a stack has become free since the waiting tasks last tried.
    #[inline]
    pub(super) fn has_freed(&self) -> bool {
        self.freed.get()
    }

    /// Takes some of the waiting tasks out, for another attempt. The next tasks try when one of
    /// these gets a stack, and ends.
    pub(super) fn take_waiting(&self) -> impl Iterator<Item = TaskRef> {
        self.freed.set(false);
        let mut waiting = self.waiting.borrow_mut();
        let some = waiting.len().min(STACK_TRIES);
        let some: Vec<TaskRef> = waiting.drain(..some).collect();
        some.into_iter()
    }

    /// Returns when the sleeping worker has to let waiting tasks try again: another worker, or the
    /// rest of the process, may have given memory back.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        if self.waiting.borrow().is_empty() {
            return None;
        }
        let retry = self.retry.get();
        self.retry
            .set(retry.or_else(|| Some(clock::now() + STACK_RETRY)));
        self.retry.get()
    }

    /// Returns whether the moment of [`next_retry`](Self::next_retry) has come, once.
    pub(super) fn is_retry_due(&self) -> bool {
        let is_due = self.retry.get().is_some_and(|retry| retry <= clock::now());
        if is_due {
            self.retry.set(None);
        }
        is_due
    }
}
