//! A fiber: a coroutine with its stack, on which tasks run one after the other.
//!
//! A fiber belongs to one worker, is resumed by that worker only, and never leaves its thread: it
//! is neither `Send` nor `Sync`. When its task ends it suspends once more and waits, stack and all,
//! for the next one.
//!
//! It lies at the top of its own stack, in a page that is touched anyway: nothing else of it takes
//! memory. A switch uses the two cache lines at its start: the end of corosensei's stack, where it
//! keeps the way back, shares the first of them.

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
    /// The task to run next, or the one that runs; `None` between tasks, and to tell the fiber to
    /// end.
    task: Cell<Option<TaskRef>>,
    /// What other threads may know of that task.
    label: Cell<Label>,
    /// How to get off the stack; it lies at its bottom.
    suspender: Cell<*const Suspender>,
    /// Where its stack ended, but for less than `MARGIN` bytes, when it was suspended last; null
    /// before it has run.
    end: Cell<*const u8>,
    /// Its place in its worker's list of those that have run since their depths were given back; or
    /// `UNLISTED`, or `NEVER_LISTED`.
    place: Cell<u32>,
    /// The period in which its task ran last (see `load`).
    active_in: Cell<Period>,
    /// So that the rest begins in a line of its own.
    _space: u64,
    /// `None` only while the fiber is being made, and unmade.
    coroutine: UnsafeCell<Option<Coroutine<(), (), (), Stack>>>,
    extent: Extent,
}

/// Cache lines that a switch uses, the end of the stack included.
const HOT_LINES: usize = 2;

const UNLISTED: u32 = u32::MAX;
const NEVER_LISTED: u32 = u32::MAX - 1;

/// What a suspended fiber has in use below `end` is less: what is called after [`Fiber::note_end`],
/// corosensei's `suspend` and its switch.
const MARGIN: usize = 4096;

impl Fiber {
    /// One that is not `pooled` never comes into the list, and is ended when its task is.
    pub(super) fn new(mut stack: Stack, pooled: bool) -> NonNull<Fiber> {
        let extent = stack.extent();
        let place = stack.carve::<Fiber>();
        let fiber = place.cast::<Fiber>();
        // SAFETY: carved for it, and nobody else's. It has nothing to drop but the coroutine, which
        // `destroy` takes out first.
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
            // SAFETY: the fiber lies on the stack that this runs on. `destroy` lets this end before
            // it drops the coroutine, and with it the stack.
            let this = unsafe { fiber.as_ref() };
            this.suspender.set(suspender);
            while let Some(task) = this.task.get() {
                // SAFETY: `run` below was given the scheduler's reference, and each task is run
                // once.
                unsafe { task.run() };
                // The task's memory may be free.
                this.task.set(None);
                this.note_end();
                suspender.suspend(());
            }
        });
        // SAFETY: nobody else knows the fiber yet.
        unsafe { *fiber.as_ref().coroutine.get() = Some(coroutine) };
        fiber
    }

    /// In bytes.
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

    /// The period in which its task ran last.
    #[inline]
    pub(super) fn active_in(&self) -> Period {
        self.active_in.get()
    }

    #[inline]
    pub(super) fn set_active_in(&self, period: Period) {
        self.active_in.set(period);
    }

    /// What other threads may know of its task.
    #[inline]
    pub(super) fn label(&self) -> Label {
        self.label.get()
    }

    /// Replaces the label of a task that has run to its end.
    pub(super) fn set_label(&self, label: Label) {
        self.label.set(label);
    }

    /// The task that it runs.
    #[inline]
    pub(super) fn task(&self) -> Option<TaskRef> {
        self.task.get()
    }

    /// Whether it has still to come into the list of those that have run.
    #[inline]
    pub(super) fn is_unlisted(&self) -> bool {
        self.place.get() == UNLISTED
    }

    /// Puts it into the list.
    pub(super) fn enlist(this: NonNull<Fiber>, list: &mut Vec<NonNull<Fiber>>) {
        // SAFETY: the caller's worker has it, so it is alive.
        unsafe { this.as_ref() }.place.set(list.len() as u32);
        list.push(this);
    }

    /// Takes it out of the list, if it is there.
    pub(super) fn delist(&self, list: &mut Vec<NonNull<Fiber>>) {
        let place = self.place.get();
        if place >= NEVER_LISTED {
            return;
        }
        self.place.set(UNLISTED);
        list.swap_remove(place as usize);
        if let Some(moved) = list.get(place as usize) {
            // SAFETY: what is in the list is alive.
            unsafe { moved.as_ref() }.place.set(place);
        }
    }

    /// Gives back the memory of the stack that lies deeper than what is in use.
    ///
    /// # Safety
    /// The fiber is suspended, and the caller is its worker, outside of any fiber.
    pub(super) unsafe fn discard_depths(&self) {
        let end = self.end.get().addr();
        // SAFETY: a suspended fiber uses nothing below `end` but for the margin. (Without an end it
        // has never run.)
        unsafe { self.extent.discard_below(end.saturating_sub(MARGIN)) };
    }

    #[inline(always)]
    fn note_end(&self) {
        self.end.set(stack::pointer());
    }

    /// Whether an access of `address` has run over the end of the stack.
    pub(super) fn is_overflow(&self, address: usize) -> bool {
        self.extent.is_overflow(address)
    }

    /// The first of two steps to have what it takes to resume a fiber in the caches.
    #[inline]
    pub(super) fn prefetch(this: NonNull<Fiber>) {
        let start = this.as_ptr().cast::<u8>();
        for line in 0..HOT_LINES {
            prefetch(start.wrapping_add(line * LINE));
        }
    }

    /// Fetches what the fiber needs of its stack to go on: the second step, a while after the
    /// first.
    #[inline]
    pub(super) fn prefetch_stack(&self) {
        for offset in (0..STACK_HOT).step_by(LINE) {
            prefetch(self.end.get().wrapping_add(offset));
        }
    }

    /// Runs the fiber until it suspends. `true`: its task has ended, and the fiber is idle.
    ///
    /// # Safety
    /// Called on the fiber's own worker, from outside of any fiber, with a task assigned.
    #[inline]
    pub(super) unsafe fn resume(&self) -> bool {
        // SAFETY: `Some`, since `new` puts the coroutine in before it gives the fiber away. Only
        // the worker's loop resumes, and it runs outside of fibers: so no other use of the
        // coroutine is under way. What runs inside never touches `coroutine`.
        let coroutine = unsafe { (*self.coroutine.get()).as_mut().unwrap_unchecked() };
        coroutine.resume(());
        self.task.get().is_none()
    }

    /// Leaves the stack until the worker resumes the fiber.
    ///
    /// # Safety
    /// Called by the code that runs on this fiber.
    #[inline(always)]
    pub(super) unsafe fn suspend(&self) {
        self.note_end();
        // SAFETY: the code that calls is inside the coroutine, so its suspender is alive.
        unsafe { (*self.suspender.get()).suspend(()) }
    }

    /// Ends an idle fiber and frees its stack.
    ///
    /// # Safety
    /// The fiber is idle (no task), not used again, and the caller is its worker, outside of any
    /// fiber.
    pub(super) unsafe fn destroy(this: NonNull<Fiber>) {
        // SAFETY: alive until its stack goes, at the end of this function.
        let fiber = unsafe { this.as_ref() };
        debug_assert!(fiber.task.get().is_none());
        // SAFETY: as in `resume`; nobody uses the fiber any more.
        let coroutine = unsafe { (*fiber.coroutine.get()).take() };
        // What is left of the fiber has nothing to drop, and goes with the stack that it lies on.
        const { assert!(!mem::needs_drop::<Cell<Option<TaskRef>>>()) };
        if let Some(mut coroutine) = coroutine {
            // With no task the closure returns, so nothing is left on the stack.
            if coroutine.started() && !coroutine.done() {
                coroutine.resume(());
            }
        }
    }
}
