//! A fiber: a coroutine with its stack, on which tasks run one after the other.
//!
//! A fiber belongs to one worker, is resumed by that worker only, and never leaves its thread: it is neither `Send`
//! nor `Sync`. When its task ends it suspends once more and waits, stack and all, for the next one.

use std::cell::{Cell, UnsafeCell};
use std::ptr::{self, NonNull};

use corosensei::{Coroutine, Yielder};

use super::task::TaskRef;
use crate::stack::Stack;

type Suspender = Yielder<(), ()>;

pub(crate) struct Fiber {
    /// `None` only while the fiber is being made.
    coroutine: UnsafeCell<Option<Coroutine<(), (), (), Stack>>>,
    /// The task to run next, or the one that runs; `None` between tasks, and to tell the fiber to end.
    task: Cell<Option<TaskRef>>,
    /// How to get off the stack; it lies at its bottom.
    suspender: Cell<*const Suspender>,
    stack_size: usize,
}

impl Fiber {
    pub(super) fn new(stack: Stack) -> NonNull<Fiber> {
        let stack_size = stack.size();
        let fiber = NonNull::from(Box::leak(Box::new(Fiber {
            coroutine: UnsafeCell::new(None),
            task: Cell::new(None),
            suspender: Cell::new(ptr::null()),
            stack_size,
        })));
        let coroutine = Coroutine::with_stack(stack, move |suspender: &Suspender, ()| {
            // SAFETY: the fiber outlives its coroutine: `destroy` drops the coroutine first.
            let this = unsafe { fiber.as_ref() };
            this.suspender.set(suspender);
            while let Some(task) = this.task.get() {
                // SAFETY: `run` below was given the scheduler's reference, and each task is run once.
                unsafe { task.run() };
                this.task.set(None);
                suspender.suspend(());
            }
        });
        // SAFETY: nobody else knows the fiber yet.
        unsafe { *fiber.as_ref().coroutine.get() = Some(coroutine) };
        fiber
    }

    pub(super) fn stack_size(&self) -> usize {
        self.stack_size
    }

    /// Gives the idle fiber a task; the next [`resume`](Self::resume) starts it.
    pub(super) fn assign(&self, task: TaskRef) {
        debug_assert!(self.task.get().is_none());
        self.task.set(Some(task));
    }

    /// Runs the fiber until it suspends. `true`: its task has ended, and the fiber is idle.
    ///
    /// # Safety
    /// Called on the fiber's own worker, from outside of any fiber, with a task assigned.
    #[inline]
    pub(super) unsafe fn resume(&self) -> bool {
        // SAFETY: `Some`, since `new` puts the coroutine in before it gives the fiber away. Only the worker's loop resumes, and it runs outside of fibers: so no other use of the coroutine
        // is under way. What runs inside touches `task` and `suspender` only.
        let coroutine = unsafe { (*self.coroutine.get()).as_mut().unwrap_unchecked() };
        coroutine.resume(());
        self.task.get().is_none()
    }

    /// Leaves the stack until the worker resumes the fiber.
    ///
    /// # Safety
    /// Called by the code that runs on this fiber.
    #[inline]
    pub(super) unsafe fn suspend(&self) {
        // SAFETY: the code that calls is inside the coroutine, so its suspender is alive.
        unsafe { (*self.suspender.get()).suspend(()) }
    }

    /// Ends an idle fiber and frees its stack.
    ///
    /// # Safety
    /// The fiber is idle (no task), not used again, and the caller is its worker, outside of any fiber.
    pub(super) unsafe fn destroy(this: NonNull<Fiber>) {
        {
            // SAFETY: alive until the end of this function.
            let fiber = unsafe { this.as_ref() };
            debug_assert!(fiber.task.get().is_none());
            // SAFETY: as in `resume`. With no task the closure returns, so nothing is left on the stack.
            if let Some(coroutine) = unsafe { (*fiber.coroutine.get()).as_mut() }
                && coroutine.started()
                && !coroutine.done()
            {
                coroutine.resume(());
            }
        }
        // SAFETY: made by `Box::leak` in `new`, and nobody uses it any more.
        drop(unsafe { Box::from_raw(this.as_ptr()) });
    }
}
