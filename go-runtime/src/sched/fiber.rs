//! A fiber: a coroutine with its stack, on which tasks run one after the other.
//!
//! A fiber belongs to one worker, is resumed by that worker only, and never leaves the worker's
//! thread: it is neither `Send` nor `Sync`. When its task ends, the fiber suspends once more and
//! waits, together with its stack, for the next task.
//!
//! The fiber lies at the top of its own stack, in a page that is touched anyway, so it takes no
//! other memory:
//!
//! ```text
//!  low addresses                                                          high addresses
//! +-------+--------------------------+----------+---------------------------------+-------+
//! | guard | free  <--- frames grow   | way back | Fiber                           | color |
//! |       |           ^              | 16 bytes | task, label, ... | coroutine ...|       |
//! +-------+-----------|--------------+----------+---------------------------------+-------+
//!                     `end`, when     `--- first cache line ---'  `-- second ---'
//!                      suspended
//! ```
//!
//! A switch uses the two cache lines drawn and the frame of the goroutine, but not the task.
//! corosensei keeps the way back to the worker's loop at the end of its stack, which shares the
//! first of the two lines with the start of the fiber.

use std::cell::{Cell, UnsafeCell};
use std::mem;
use std::panic::Location;
use std::ptr::{self, NonNull};

use corosensei::{Coroutine, Yielder};

use super::label::Label;
use super::load::{self, Period};
use super::task::TaskRef;
use super::tuning::STACK_HOT;
use crate::primitives::prefetch::{LINE, prefetch};
use crate::stack::{self, Extent, Stack};

type Suspender = Yielder<(), ()>;

#[repr(C)]
pub(crate) struct Fiber {
    /// The task to run next, or the running one; `None` between tasks, and to make the fiber end.
    task: Cell<Option<TaskRef>>,
    /// The task's label, which other threads may read.
    label: Cell<Label>,
    /// The handle by which the code on the stack suspends; corosensei keeps it at the base of the
    /// stack.
    suspender: Cell<*const Suspender>,
    /// Where the stack's used part ended when the fiber was last suspended, to within `MARGIN`
    /// bytes; null before the fiber has run.
    end: Cell<*const u8>,
    /// The fiber's index in its worker's list of fibers that have run since the unused parts of
    /// their stacks were given back; or `UNLISTED`, or `NEVER_LISTED`.
    place: Cell<u32>,
    /// The period in which the fiber's task last ran (see `load`).
    active_in: Cell<Period>,
    /// Padding, so that the remaining fields begin in a cache line of their own.
    _space: u64,
    /// `None` only while the fiber is being made or destroyed.
    coroutine: UnsafeCell<Option<Coroutine<(), (), (), Stack>>>,
    extent: Extent,
}

/// Cache lines that a switch uses, including the end of corosensei's stack.
const HOT_LINES: usize = 2;

const UNLISTED: u32 = u32::MAX;
const NEVER_LISTED: u32 = u32::MAX - 1;

/// Upper bound on the bytes that a suspended fiber uses below `end`: the frames of the functions
/// called after [`Fiber::note_end`], which are corosensei's `suspend` and its switch.
const MARGIN: usize = 4096;

impl Fiber {
    /// Makes an idle fiber on `stack`. A fiber that is not `pooled` never enters the worker's list,
    /// and is destroyed when its task ends.
    pub(super) fn new(mut stack: Stack, pooled: bool) -> NonNull<Fiber> {
        let extent = stack.extent();
        let place = stack.carve::<Fiber>();
        let fiber = place.cast::<Fiber>();
        // SAFETY: the memory was carved out of the stack for this fiber, with its size and
        // alignment, and no other code uses it. The fiber has nothing to drop but the coroutine,
        // which `destroy` takes out first.
        unsafe {
            fiber.write(Fiber {
                task: Cell::new(None),
                label: Cell::new(Label::plain(Location::caller())),
                suspender: Cell::new(ptr::null()),
                end: Cell::new(ptr::null()),
                place: Cell::new(if pooled { UNLISTED } else { NEVER_LISTED }),
                active_in: Cell::new(load::NEVER),
                _space: 0,
                coroutine: UnsafeCell::new(None),
                extent,
            });
        }
        let coroutine = Coroutine::with_stack(stack, move |suspender: &Suspender, ()| {
            // SAFETY: the fiber lies on the stack on which this closure runs. `destroy` lets the
            // closure end before it drops the coroutine, and with it the stack.
            let this = unsafe { fiber.as_ref() };
            this.suspender.set(suspender);
            while let Some(task) = this.task.get() {
                // SAFETY: the worker that assigned the task gave the fiber the scheduler's
                // reference, and clearing `task` below makes sure that each task is run once.
                unsafe { task.run() };
                // From here on the task's memory may have been freed.
                this.task.set(None);
                this.note_end();
                suspender.suspend(());
            }
        });
        // SAFETY: the fiber has just been written and is not shared yet: no other reference to its
        // coroutine exists.
        unsafe { *fiber.as_ref().coroutine.get() = Some(coroutine) };
        fiber
    }

    /// Returns the size of the stack in bytes.
    pub(super) fn stack_size(&self) -> usize {
        self.extent.size()
    }

    /// Gives the idle fiber a task; the next [`resume`](Self::resume) starts it.
    pub(super) fn assign(&self, task: TaskRef, label: Label, now: Period) {
        debug_assert!(self.task.get().is_none());
        self.task.set(Some(task));
        self.label.set(label);
        self.active_in.set(now);
    }

    /// Returns the period in which the fiber's task last ran.
    #[inline]
    pub(super) fn active_in(&self) -> Period {
        self.active_in.get()
    }

    #[inline]
    pub(super) fn set_active_in(&self, period: Period) {
        self.active_in.set(period);
    }

    /// Returns the label of the fiber's task, which other threads may read.
    #[inline]
    pub(super) fn label(&self) -> Label {
        self.label.get()
    }

    /// Replaces the label of a task that has run to its end.
    pub(super) fn set_label(&self, label: Label) {
        self.label.set(label);
    }

    /// Returns the task that the fiber runs.
    #[inline]
    pub(super) fn task(&self) -> Option<TaskRef> {
        self.task.get()
    }

    /// Returns whether the fiber has yet to be put into the worker's list of fibers that have run.
    #[inline]
    pub(super) fn is_unlisted(&self) -> bool {
        self.place.get() == UNLISTED
    }

    /// Puts the fiber into the worker's list of fibers that have run.
    pub(super) fn enlist(this: NonNull<Fiber>, list: &mut Vec<NonNull<Fiber>>) {
        // SAFETY: the worker that calls this owns the fiber and has not destroyed it.
        unsafe { this.as_ref() }.place.set(list.len() as u32);
        list.push(this);
    }

    /// Takes the fiber out of the worker's list, if it is there.
    pub(super) fn delist(&self, list: &mut Vec<NonNull<Fiber>>) {
        let place = self.place.get();
        if place >= NEVER_LISTED {
            return;
        }
        self.place.set(UNLISTED);
        list.swap_remove(place as usize);
        if let Some(moved) = list.get(place as usize) {
            // SAFETY: a fiber is taken out of the list before it is destroyed, so every fiber in
            // the list is alive.
            unsafe { moved.as_ref() }.place.set(place);
        }
    }

    /// Gives the memory of the unused part of the stack back to the system.
    ///
    /// # Safety
    /// The fiber is suspended, and the caller is the fiber's worker, outside of any fiber.
    pub(super) unsafe fn discard_unused_stack(&self) {
        let end = self.end.get().addr();
        // SAFETY: the caller makes sure that the fiber is suspended, so it uses at most `MARGIN`
        // bytes below `end`. (A fiber that has never run has a null `end`, and nothing lies below
        // that.)
        unsafe { self.extent.discard_below(end.saturating_sub(MARGIN)) };
    }

    #[inline(always)]
    fn note_end(&self) {
        self.end.set(stack::pointer());
    }

    /// Returns whether an access to `address` has overflowed this stack.
    pub(super) fn is_overflow(&self, address: usize) -> bool {
        self.extent.is_overflow(address)
    }

    /// Prefetches the fiber itself: the first of the two steps before a resumption.
    #[inline]
    pub(super) fn prefetch(this: NonNull<Fiber>) {
        let start = this.as_ptr().cast::<u8>();
        for line in 0..HOT_LINES {
            prefetch(start.wrapping_add(line * LINE));
        }
    }

    /// Prefetches the part of the stack that the fiber needs as soon as it continues: the second
    /// step, some time after [`prefetch`](Self::prefetch).
    #[inline]
    pub(super) fn prefetch_stack(&self) {
        for offset in (0..STACK_HOT).step_by(LINE) {
            prefetch(self.end.get().wrapping_add(offset));
        }
    }

    /// Runs the fiber until it suspends. Returns whether its task has ended, which leaves the fiber
    /// idle.
    ///
    /// # Safety
    /// Called by the fiber's own worker, outside of any fiber, with a task assigned.
    #[inline]
    pub(super) unsafe fn resume(&self) -> bool {
        // SAFETY: the coroutine is `Some`, since `new` puts it in before it returns the fiber, and
        // only `destroy` takes it out. Only the worker's loop calls this, outside of any fiber, so
        // no other use of the coroutine is under way; the code that runs on the fiber never touches
        // `coroutine`.
        let coroutine = unsafe { (*self.coroutine.get()).as_mut().unwrap_unchecked() };
        coroutine.resume(());
        self.task.get().is_none()
    }

    /// Suspends the fiber: control returns to its worker, until the worker resumes the fiber.
    ///
    /// # Safety
    /// Called by the code that runs on this fiber.
    #[inline(always)]
    pub(super) unsafe fn suspend(&self) {
        self.note_end();
        // SAFETY: the caller runs inside the coroutine, whose closure stored `suspender` before it
        // ran the task and keeps the suspender alive until it returns.
        unsafe { (*self.suspender.get()).suspend(()) }
    }

    /// Destroys an idle fiber and frees its stack.
    ///
    /// # Safety
    /// The fiber is idle (it has no task) and is not used again; the caller is the fiber's worker,
    /// outside of any fiber.
    pub(super) unsafe fn destroy(this: NonNull<Fiber>) {
        // SAFETY: the fiber lies on its stack, which lives until `coroutine` is dropped at the end
        // of this function.
        let fiber = unsafe { this.as_ref() };
        debug_assert!(fiber.task.get().is_none());
        // SAFETY: the fiber is idle and its worker calls this outside of any fiber: the coroutine
        // is suspended, and no other reference to it exists.
        let coroutine = unsafe { (*fiber.coroutine.get()).take() };
        // The rest of the fiber has nothing to drop, and is freed with the stack on which it lies.
        const { assert!(!mem::needs_drop::<Cell<Option<TaskRef>>>()) };
        if let Some(mut coroutine) = coroutine {
            // Without a task the closure's loop ends and the closure returns, so no frame is left.
            if coroutine.started() && !coroutine.done() {
                coroutine.resume(());
            }
        }
    }
}
