//! A task: the scheduler's record of a goroutine.
//!
//! A task is one allocation: the header [`Task`], followed by whatever the typed part
//! (`goroutine::job`) keeps there. The scheduler handles a task through a [`TaskRef`], a plain
//! pointer; the header counts the references that keep the task alive. Only the worker on which the
//! task has started uses `parent` and `starved`; the owner of a task that is in no queue writes
//! `spawner`; any thread may use the count; the other fields do not change after the task has been
//! made.
//!
//! ```text
//!   TaskRef ---> +------+--------+---------+--------+-----+---------------------+
//!                | refs | parent | starved | vtable | ... | typed part          |
//!                +------+--------+---------+--------+-----+---------------------+
//!                 header, known to the scheduler           known to `vtable` only
//! ```

use std::cell::Cell;
#[cfg(target_os = "linux")]
use std::mem::offset_of;
use std::panic::Location;
use std::ptr::NonNull;

use super::label::{self, Label, Site};
use crate::primitives::atomic::{AtomicUsize, Ordering, fence};

/// Number of the monitor's ticks, one every 5 ms; it wraps around after eight months.
pub(super) type MonitorTick = u32;

pub(crate) struct Task {
    refs: AtomicUsize,
    /// Whether the goroutine has spawned others (see `placement`).
    pub(super) parent: Cell<bool>,
    /// Whether the task waits for the memory of a stack (see `shortage`).
    pub(super) starved: Cell<bool>,
    /// Where the goroutine was spawned that has spawned this one.
    spawner: Cell<Option<Site>>,
    vtable: &'static VTable,
    spawned_at: &'static Location<'static>,
    options: Option<NonNull<Options>>,
}

/// The settings that a goroutine was spawned with, if there were any.
#[derive(Default, Debug, Clone)]
pub(crate) struct Options {
    pub(crate) name: Option<String>,
    /// Stack size in bytes; `None` for the default.
    pub(crate) stack_size: Option<usize>,
    /// Bytes of stack that the code between the goroutine and the user's closure takes.
    pub(crate) room: usize,
    /// Whether the goroutine has a thread of its own.
    pub(crate) thread: bool,
    /// The spawn site, set when the task is made.
    pub(super) spawned_at: Option<&'static Location<'static>>,
}

impl Options {
    /// The offsets of the name and of the spawn site, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) const NAME: usize = offset_of!(Options, name);
    #[cfg(target_os = "linux")]
    pub(crate) const SPAWNED_AT: usize = offset_of!(Options, spawned_at);
}

/// The typed part of a task, as a table of functions.
pub(crate) struct VTable {
    /// Runs the goroutine to its end, on the current stack, and does not unwind. The function gives
    /// the scheduler's reference back, so the task may be gone when it returns.
    pub(crate) run: unsafe fn(TaskRef),
    /// Drops what the typed part still holds, then frees the task's memory.
    pub(crate) destroy: unsafe fn(TaskRef),
}

/// A pointer to a task. Copying the pointer counts nothing: the holder of a `TaskRef` owns one of
/// the task's references, or relies on a reference that outlives its use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskRef(NonNull<Task>);

// SAFETY: a task that has not started holds a `Send` closure, or else is local and stays in the
// queue of one worker; a task that has started is run by that worker only. Of the header, other
// threads use `refs`, which is atomic, the fields that do not change after the task has been made,
// and `spawner`, which only the owner of a task that is in no queue changes.
unsafe impl Send for TaskRef {}

impl Task {
    /// Makes the header of a task with two references: the scheduler's and the handle's.
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
            spawner: Cell::new(None),
            vtable,
            spawned_at,
            options,
        }
    }

    pub(crate) fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    /// Returns where the goroutine was spawned that has spawned this one; `None` if a thread has.
    pub(crate) fn spawner(&self) -> Option<Site> {
        self.spawner.get()
    }

    /// Sets where the goroutine was spawned that has spawned this one. Only the owner of a task
    /// that is in no queue does that.
    #[inline]
    pub(crate) fn set_spawner(&self, site: Option<Site>) {
        self.spawner.set(site);
    }

    fn options(&self) -> Option<&Options> {
        // SAFETY: the task owns the options until it is dropped, and nothing writes them.
        self.options.map(|options| unsafe { options.as_ref() })
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.options()?.name.as_deref()
    }

    /// Returns the stack size in bytes; `None` stands for the default.
    pub(crate) fn stack_size(&self) -> Option<usize> {
        self.options()?.stack_size
    }

    /// Returns whether the goroutine is to run on a thread of its own.
    pub(crate) fn wants_thread(&self) -> bool {
        self.options().is_some_and(|options| options.thread)
    }

    /// Returns the label, which other threads may read while the task runs.
    pub(super) fn label(&self) -> Label {
        Label::new(self.spawned_at, self.options())
    }
}

impl Drop for Task {
    #[inline]
    fn drop(&mut self) {
        if let Some(options) = self.options {
            // The program's allocator, which `free` may call, may ask for the name.
            self.options = None;
            // SAFETY: `new` made the pointer from a box, and only this drop frees it. No label of a
            // running goroutine refers to the options: a worker that has run the task replaced its
            // label before it gave the scheduler's reference back (see `Worker::note_finish`), and
            // a task that has not run, or has a thread of its own, never had a label.
            unsafe { label::free(options) };
        }
    }
}

impl TaskRef {
    /// Makes the pointer to a task from the address of its header.
    ///
    /// # Safety
    /// `task` is the header of a live task, and the caller gives up one of the task's references.
    pub(crate) unsafe fn new(task: NonNull<Task>) -> Self {
        TaskRef(task)
    }

    pub(crate) fn as_ptr(self) -> NonNull<Task> {
        self.0
    }

    /// Returns the header.
    ///
    /// # Safety
    /// The caller makes sure that a reference is held for as long as the result is used.
    pub(crate) unsafe fn get<'a>(self) -> &'a Task {
        // SAFETY: the caller makes sure that a counted reference is held, which keeps the header
        // alive.
        unsafe { self.0.as_ref() }
    }

    /// Runs the goroutine to its end on the current stack.
    ///
    /// # Safety
    /// Called once, with the scheduler's reference, which the call consumes.
    pub(crate) unsafe fn run(self) {
        // SAFETY: the scheduler's reference keeps the task alive until `run` gives it back. The
        // function was made for the types of this task, and the caller calls it once.
        unsafe { (self.get().vtable.run)(self) }
    }

    /// Gives a reference back. The caller that gives the last one drops what the task still holds,
    /// on its own thread.
    ///
    /// # Safety
    /// The caller owns the reference and does not use the task again.
    pub(crate) unsafe fn release(self) {
        // SAFETY: the caller owns a reference, which keeps the header alive until the subtraction.
        let vtable = unsafe { self.get() }.vtable;
        // SAFETY: the caller's reference keeps the header alive until this subtraction.
        if unsafe { self.get() }.refs.fetch_sub(1, Ordering::Release) == 1 {
            // Acquire: what other threads did with the task happens before its destruction.
            fence(Ordering::Acquire);
            // SAFETY: the count has fallen to 0, so no other reference exists, and only the thread
            // that saw it fall gets here: the task is destroyed once.
            unsafe { (vtable.destroy)(self) }
        }
    }
}
