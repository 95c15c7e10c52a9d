//! A task: what the scheduler knows of a goroutine.
//!
//! A task is one allocation: this header, and behind it whatever the typed part (`goroutine::job`)
//! keeps there. The scheduler handles it through a [`TaskRef`], a plain pointer; the header counts
//! who may still use it. `parent` and `starved` belong to the worker on which the task has started.

use std::cell::Cell;
use std::panic::Location;
use std::ptr::NonNull;

use super::label::{self, Label};
use crate::primitives::atomic::{AtomicUsize, Ordering, fence};

/// Counts the monitor's looks, one every 5 ms; it begins anew after eight months.
pub(super) type MonitorTick = u32;

pub(crate) struct Task {
    refs: AtomicUsize,
    /// It has spawned others (see `placement`).
    pub(super) parent: Cell<bool>,
    /// It waits for the memory of a stack (see `shortage`).
    pub(super) starved: Cell<bool>,
    vtable: &'static VTable,
    spawned_at: &'static Location<'static>,
    options: Option<NonNull<Options>>,
}

/// What was said of a goroutine when it was spawned, if anything was.
#[derive(Default, Debug, Clone)]
pub(crate) struct Options {
    pub(crate) name: Option<String>,
    /// In bytes; `None` for the default.
    pub(crate) stack_size: Option<usize>,
    /// Bytes of stack that the code between the goroutine and the user's closure takes.
    pub(crate) room: usize,
    /// It has a thread of its own.
    pub(crate) thread: bool,
    /// Set when the task is made.
    pub(super) spawned_at: Option<&'static Location<'static>>,
}

/// The typed part of a task, as functions.
pub(crate) struct VTable {
    /// Runs the goroutine to its end, on the current stack. It does not unwind. It gives the
    /// scheduler's reference back, so the task may be gone afterwards.
    pub(crate) run: unsafe fn(TaskRef),
    /// Drops what is left in the typed part, then frees the memory.
    pub(crate) destroy: unsafe fn(TaskRef),
}

/// A pointer to a task. Copying it counts nothing: its holder has one of the references.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskRef(NonNull<Task>);

// SAFETY: a task that has not started holds a `Send` closure (or is `local`, and then sits in one
// worker's own queue only); one that has started is only ever run by its own worker. Of the header,
// other threads use `refs` and the fields that never change once it has been queued.
unsafe impl Send for TaskRef {}

impl Task {
    /// The header of a task with two references: the scheduler's and the handle's.
    pub(crate) fn new(
        vtable: &'static VTable,
        spawned_at: &'static Location<'static>,
        options: Option<Box<Options>>,
    ) -> Self {
        let options = options.map(|mut options| {
            options.spawned_at = Some(spawned_at);
            NonNull::from(Box::leak(options))
        });
        Task {
            refs: AtomicUsize::new(2),
            parent: Cell::new(false),
            starved: Cell::new(false),
            vtable,
            spawned_at,
            options,
        }
    }

    pub(crate) fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    fn options(&self) -> Option<&Options> {
        // SAFETY: the task owns them, and they do not change.
        self.options.map(|options| unsafe { options.as_ref() })
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.options()?.name.as_deref()
    }

    /// In bytes; `None` for the default.
    pub(crate) fn stack_size(&self) -> Option<usize> {
        self.options()?.stack_size
    }

    /// Whether it is to run on a thread of its own.
    pub(crate) fn wants_thread(&self) -> bool {
        self.options().is_some_and(|options| options.thread)
    }

    /// What other threads may read of it while it runs.
    pub(super) fn label(&self) -> Label {
        Label::new(self.spawned_at, self.options())
    }
}

impl Drop for Task {
    #[inline]
    fn drop(&mut self) {
        if let Some(options) = self.options {
            // SAFETY: made from a box by `new`, and freed here alone. A task that a worker has run
            // has taken its label back before it gave the scheduler's reference back (see
            // `Worker::note_finish`); a task that has not run, or has a thread of its own, has had
            // no label.
            unsafe { label::free(options) };
        }
    }
}

impl TaskRef {
    /// # Safety
    /// `task` is the header of a live task, and the caller has one of its references to give.
    pub(crate) unsafe fn new(task: NonNull<Task>) -> Self {
        TaskRef(task)
    }

    pub(crate) fn as_ptr(self) -> NonNull<Task> {
        self.0
    }

    /// # Safety
    /// A reference is held for as long as the result is used.
    pub(crate) unsafe fn get<'a>(self) -> &'a Task {
        // SAFETY: a counted reference keeps the header alive.
        unsafe { self.0.as_ref() }
    }

    /// Runs the goroutine to its end on the current stack.
    ///
    /// # Safety
    /// Called once, with the scheduler's reference, which is used up.
    pub(crate) unsafe fn run(self) {
        // SAFETY: the reference is still there; the function is the one made for this task's types.
        unsafe { (self.get().vtable.run)(self) }
    }

    /// Gives a reference back; the last one drops what the task still holds, in the caller's
    /// context.
    ///
    /// # Safety
    /// The caller owns the reference and does not use the task again.
    pub(crate) unsafe fn release(self) {
        // SAFETY: the reference is ours until the subtraction.
        let vtable = unsafe { self.get() }.vtable;
        // SAFETY: as above.
        if unsafe { self.get() }.refs.fetch_sub(1, Ordering::Release) == 1 {
            // What others did with the task happened before its end.
            fence(Ordering::Acquire);
            // SAFETY: that was the last reference.
            unsafe { (vtable.destroy)(self) }
        }
    }
}
