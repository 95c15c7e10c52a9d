//! A worker's stacks: where a goroutine gets one when it starts, and what becomes of it afterwards.
//!
//! Idle fibers are kept, the hottest on top. Goroutines for which the system has no memory wait here until another one ends.

use std::io::{self, Write};
use std::ptr::NonNull;

use super::Worker;
use crate::primitives::atomic::Ordering;
use crate::sched::fiber::Fiber;
use crate::sched::task::TaskRef;
use crate::stack::Stack;

/// How many idle stacks a worker keeps.
const IDLE_FIBERS: usize = 1024;

impl Worker {
    /// Gives a task its stack.
    pub(super) fn start(&self, task: TaskRef) -> Option<NonNull<Fiber>> {
        // SAFETY: the scheduler's reference is held until the goroutine has ended.
        let header = unsafe { task.get() };
        let default = self.runtime.default_stack_size();
        let size = header.stack_size().unwrap_or(default);
        let idle = if size == default {
            self.fibers.borrow_mut().pop()
        } else {
            None
        };
        let fiber = match idle {
            Some(fiber) => fiber,
            None => match Stack::new(size) {
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

    #[cold]
    fn wait_for_stack(&self, task: TaskRef, size: usize, error: &io::Error) {
        if !self.runtime.out_of_stacks.swap(true, Ordering::Relaxed) {
            // Memory is short, so none is allocated; and one write keeps the message in one piece.
            let mut text = io::Cursor::new([0; 512]);
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

    pub(super) fn recycle(&self, fiber: NonNull<Fiber>) {
        let mut idle = self.fibers.borrow_mut();
        // SAFETY: idle, and this worker's.
        let size = unsafe { fiber.as_ref() }.stack_size();
        if idle.len() < IDLE_FIBERS && size == self.runtime.default_stack_size() {
            idle.push(fiber);
        } else {
            // SAFETY: its task has ended, and this is the worker's loop.
            unsafe { Fiber::destroy(fiber) };
        }
    }
}
