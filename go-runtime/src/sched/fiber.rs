//! A fiber: a coroutine with its stack, on which tasks run one after the other.
//!
//! A fiber belongs to one worker, is resumed by that worker only, and never leaves the worker's
//! thread: it is neither `Send` nor `Sync`. When its task ends, the fiber suspends once more and
//! waits, together with its stack, for the next task. Other threads may read a few words of it,
//! which are atomics for that purpose ([`Fiber::see`]).
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
#[cfg(target_os = "linux")]
use std::mem::offset_of;
use std::panic::Location;
use std::ptr::{self, NonNull};

use corosensei::{Coroutine, Yielder};

use super::label::{Label, Site};
use super::load::{self, Period};
use super::task::{Task, TaskRef};
use super::tuning::STACK_HOT;
use crate::primitives::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::primitives::prefetch::{LINE, prefetch};
use crate::stack::{self, Extent, Stack};

/// What a fiber is resumed for. (A small enum: corosensei puts it into a `Result`, and passes that
/// in a register only if both fit.)
#[derive(Clone, Copy, PartialEq, Eq)]
enum Errand {
    /// It is to go on.
    GoOn,
    /// It is to record its frames, and to suspend again (see `frames`).
    #[cfg(target_os = "linux")]
    Record,
}

type Suspender = Yielder<Errand, ()>;

#[repr(C)]
pub(crate) struct Fiber {
    /// The task to run next, or the running one; null between tasks, and to make the fiber end.
    /// Other threads may read whether there is one.
    task: AtomicPtr<Task>,
    /// The task's label, which other threads may read.
    label: AtomicPtr<()>,
    /// What the task waits for, in one word, as the wait has encoded it; `RUNNABLE` if it does not
    /// wait. Other threads may read it. (A goroutine that another thread has woken counts as
    /// waiting until its worker has read its inbox.)
    waiting: AtomicU64,
    /// The handle by which the code on the stack suspends; corosensei keeps it at the base of the
    /// stack.
    suspender: Cell<*const Suspender>,
    /// Where the stack's used part ended when the fiber was last suspended, to within `MARGIN`
    /// bytes; null before the fiber has run.
    end: Cell<*const u8>,
    /// The fiber's index in its worker's list of fibers that have run since the unused parts of
    /// their stacks were given back; or `UNLISTED`, or `NEVER_LISTED`.
    place: Cell<u32>,
    /// The period in which the fiber's task last ran (see `load`). Other threads may read it.
    active_in: AtomicU32,
    // The remaining fields begin in a cache line of their own.
    /// `None` only while the fiber is being made or destroyed.
    coroutine: UnsafeCell<Option<Coroutine<Errand, (), (), Stack>>>,
    extent: Extent,
    /// What the operation waits for that is built from others, which wait for it; `RUNNABLE` if
    /// there is none. Other threads may read it.
    outer: AtomicU64,
    /// The group in which the task's goroutine is (see `wait::in_group`), or 0. Other threads may
    /// read it.
    group: AtomicUsize,
    /// Where the goroutine was spawned that has spawned the task; null if a thread has. Other
    /// threads may read it.
    spawner: AtomicPtr<Location<'static>>,
    /// The index of the fiber's worker. Other threads may read it.
    worker: AtomicU32,
}

/// Where a debugger finds what it needs of a fiber: offsets in bytes (see `debug::gdb`).
#[cfg(target_os = "linux")]
pub(crate) struct Offsets {
    pub(crate) task: usize,
    pub(crate) label: usize,
    pub(crate) waiting: usize,
    pub(crate) end: usize,
    pub(crate) outer: usize,
    pub(crate) worker: usize,
    pub(crate) coroutine: usize,
    /// The size of the coroutine, somewhere in which corosensei keeps two stack pointers: the one
    /// that the coroutine began with, and, while it is suspended, the one that it was suspended at,
    /// which is less and differs from `end` by at most `margin`.
    pub(crate) coroutine_size: usize,
    pub(crate) margin: usize,
}

/// What other threads see of a fiber with a task.
pub(super) struct Seen {
    pub(super) label: Label,
    pub(super) spawner: Option<Site>,
    /// See [`Fiber`].
    pub(super) waiting: u64,
    pub(super) active_in: Period,
    pub(super) worker: usize,
    /// The address of the task.
    pub(super) task: usize,
    pub(super) group: usize,
}

/// The word of a goroutine that waits for nothing.
pub(super) const RUNNABLE: u64 = 0;
/// The bit of the word that says that a timer ends the wait, at the latest.
pub(crate) const TIMED: u64 = 1 << 54;

/// Cache lines that a switch uses, including the end of corosensei's stack.
const HOT_LINES: usize = 2;

const UNLISTED: u32 = u32::MAX;
const NEVER_LISTED: u32 = u32::MAX - 1;

/// Upper bound on the bytes that a suspended fiber uses below `end`: the frames of the functions
/// called after [`Fiber::note_end`], which are corosensei's `suspend` and its switch.
const MARGIN: usize = 4096;

/// Bytes of a stack that the recording of its frames may take: the unwinder takes some 5 KiB.
const ROOM_TO_RECORD: usize = 16 << 10;

impl Fiber {
    #[cfg(target_os = "linux")]
    pub(crate) const OFFSETS: Offsets = Offsets {
        task: offset_of!(Fiber, task),
        label: offset_of!(Fiber, label),
        waiting: offset_of!(Fiber, waiting),
        end: offset_of!(Fiber, end),
        outer: offset_of!(Fiber, outer),
        worker: offset_of!(Fiber, worker),
        coroutine: offset_of!(Fiber, coroutine),
        coroutine_size: size_of::<Option<Coroutine<Errand, (), (), Stack>>>(),
        margin: MARGIN,
    };

    /// Makes an idle fiber on `stack`. A fiber that is not `pooled` never enters the worker's list,
    /// and is destroyed when its task ends.
    pub(super) fn new(mut stack: Stack, worker: usize, pooled: bool) -> NonNull<Fiber> {
        let extent = stack.extent();
        let place = stack.carve::<Fiber>();
        let fiber = place.cast::<Fiber>();
        let listed = if pooled { UNLISTED } else { NEVER_LISTED };
        let label = Label::plain(Location::caller());
        // SAFETY: the memory was carved out of the stack for this fiber, with its size and
        // alignment. It is zeroed, or has what an earlier fiber has left, which is valid for the
        // atomics: other threads may read these (see `see`), so they are written as such. No other
        // code uses the other fields. The fiber has nothing to drop but the coroutine, which
        // `destroy` takes out first.
        unsafe {
            let this = fiber.as_ptr();
            (*this).task.store(ptr::null_mut(), Ordering::Relaxed);
            (*this).label.store(label.as_ptr(), Ordering::Relaxed);
            (*this).waiting.store(RUNNABLE, Ordering::Relaxed);
            (&raw mut (*this).suspender).write(Cell::new(ptr::null()));
            (&raw mut (*this).end).write(Cell::new(ptr::null()));
            (&raw mut (*this).place).write(Cell::new(listed));
            (*this).active_in.store(load::NEVER, Ordering::Relaxed);
            (&raw mut (*this).coroutine).write(UnsafeCell::new(None));
            (&raw mut (*this).extent).write(extent);
            (*this).outer.store(RUNNABLE, Ordering::Relaxed);
            (*this).group.store(0, Ordering::Relaxed);
            (*this).spawner.store(ptr::null_mut(), Ordering::Relaxed);
            (*this).worker.store(worker as u32, Ordering::Relaxed);
        }
        let coroutine = Coroutine::with_stack(stack, move |suspender: &Suspender, _| {
            // SAFETY: the fiber lies on the stack on which this closure runs. `destroy` lets the
            // closure end before it drops the coroutine, and with it the stack.
            let this = unsafe { fiber.as_ref() };
            this.suspender.set(suspender);
            while let Some(task) = this.task() {
                // SAFETY: the worker that assigned the task gave the fiber the scheduler's
                // reference, and clearing `task` below makes sure that each task is run once.
                unsafe { task.run() };
                // From here on the task's memory may have been freed.
                this.task.store(ptr::null_mut(), Ordering::Relaxed);
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

    /// Returns the number of the stack, unless other code uses the table of all stacks just then.
    #[cfg(target_os = "linux")]
    pub(super) fn try_stack_number(&self) -> Option<usize> {
        self.extent.try_number()
    }

    /// Gives the idle fiber a task; the next [`resume`](Self::resume) starts it.
    pub(super) fn assign(&self, task: TaskRef, label: Label, spawner: Option<Site>, now: Period) {
        debug_assert!(self.task().is_none());
        let spawner = spawner.map_or(ptr::null_mut(), |site| ptr::from_ref(site).cast_mut());
        self.spawner.store(spawner, Ordering::Relaxed);
        // Release: another thread that sees the task or the label reads what was written before.
        self.label.store(label.as_ptr(), Ordering::Release);
        self.active_in.store(now, Ordering::Relaxed);
        self.waiting.store(RUNNABLE, Ordering::Relaxed);
        self.task.store(task.as_ptr().as_ptr(), Ordering::Release);
    }

    /// Returns the period in which the fiber's task last ran.
    #[inline]
    pub(super) fn active_in(&self) -> Period {
        self.active_in.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set_active_in(&self, period: Period) {
        self.active_in.store(period, Ordering::Relaxed);
    }

    /// Returns the label of the fiber's task, which other threads may read.
    #[inline]
    pub(super) fn label(&self) -> Label {
        // SAFETY: `new`, `assign` or `set_label` made the pointer from a label, so it is not null.
        unsafe { Label::from_ptr(self.label.load(Ordering::Relaxed)).unwrap_unchecked() }
    }

    /// Replaces the label of a task that has run to its end.
    pub(super) fn set_label(&self, label: Label) {
        self.label.store(label.as_ptr(), Ordering::Release);
    }

    /// Returns the task that the fiber runs.
    #[inline]
    pub(super) fn task(&self) -> Option<TaskRef> {
        let task = NonNull::new(self.task.load(Ordering::Relaxed))?;
        // SAFETY: `assign` made the pointer from a `TaskRef`, whose reference the fiber has.
        Some(unsafe { TaskRef::new(task) })
    }

    /// Notes what the task waits for, or that it is `RUNNABLE`. Only the task itself, and its
    /// worker, do that.
    #[inline(always)]
    pub(crate) fn note_wait(&self, waiting: u64) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// Notes that a timer ends the wait that has been noted, at the latest. Only the task itself
    /// does that.
    pub(crate) fn note_timer(&self) {
        match self.waiting.load(Ordering::Relaxed) {
            RUNNABLE => {}
            waiting => self.note_wait(waiting | TIMED),
        }
    }

    /// Returns what the task waits for.
    pub(super) fn waiting(&self) -> u64 {
        waits_for(&self.waiting, &self.outer)
    }

    /// Returns whether the suspended fiber's stack has room for a recording of its frames.
    pub(super) fn has_room_to_record(&self) -> bool {
        self.extent.room_below(self.end.get().addr()) >= ROOM_TO_RECORD
    }

    /// Sets what the task's operation that is built from others waits for, and returns what that
    /// was before. Only the task itself does that.
    pub(super) fn replace_outer(&self, outer: u64) -> u64 {
        let before = self.outer.load(Ordering::Relaxed);
        self.outer.store(outer, Ordering::Relaxed);
        before
    }

    /// Sets the group in which the task's goroutine is. Only the task itself does that.
    pub(crate) fn set_group(&self, group: usize) {
        self.group.store(group, Ordering::Relaxed);
    }

    /// Returns the range of memory of the stack.
    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    /// Returns what any thread may see of the fiber at `this`, if it has a task.
    ///
    /// # Safety
    /// The memory at `this` is part of a stack that exists during the call, at the place that
    /// [`Stack::carve`] returns for a fiber: zeroed, or with a fiber in it.
    pub(super) unsafe fn see(this: NonNull<Fiber>) -> Option<Seen> {
        // SAFETY: the caller says that the memory exists and is zeroed or has a fiber. These fields
        // are atomics, for which zeros are valid, too; no reference to other fields is made.
        let (task, label, spawner, waiting, outer, active_in, worker, group) = unsafe {
            let this = this.as_ptr();
            (
                &(*this).task,
                &(*this).label,
                &(*this).spawner,
                &(*this).waiting,
                &(*this).outer,
                &(*this).active_in,
                &(*this).worker,
                &(*this).group,
            )
        };
        // Acquire: `assign` wrote the label before, and `new` all else.
        let task = task.load(Ordering::Acquire);
        if task.is_null() {
            return None;
        }
        Some(Seen {
            // SAFETY: the pointer is null, or made from a label, by `new`, `assign` or `set_label`.
            label: unsafe { Label::from_ptr(label.load(Ordering::Acquire)) }?,
            // SAFETY: the pointer is null, or `assign` made it from a `'static` reference.
            spawner: unsafe { spawner.load(Ordering::Relaxed).as_ref() },
            waiting: waits_for(waiting, outer),
            active_in: active_in.load(Ordering::Relaxed),
            worker: worker.load(Ordering::Relaxed) as usize,
            task: task.addr(),
            group: group.load(Ordering::Relaxed),
        })
    }

    /// Returns what the task of a fiber waits for, and where its stack ends, from a copy of the
    /// fiber's memory; `None` if the copy says no such thing.
    #[cfg(target_os = "linux")]
    pub(crate) fn suspended(
        copy: &[usize; size_of::<Fiber>() / size_of::<usize>()],
    ) -> Option<(u64, usize)> {
        let word = |offset: usize| copy[offset / size_of::<usize>()];
        let waiting = both(
            word(offset_of!(Fiber, waiting)) as u64,
            word(offset_of!(Fiber, outer)) as u64,
        );
        let end = word(offset_of!(Fiber, end));
        // See `Offsets::coroutine_size`.
        let first = offset_of!(Fiber, coroutine) / size_of::<usize>();
        let words = Self::OFFSETS.coroutine_size / size_of::<usize>();
        let is_near = |word: &&usize| end.abs_diff(**word) <= MARGIN;
        let pointer = copy[first..first + words].iter().filter(is_near).min()?;
        Some((waiting, *pointer))
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
    #[inline(always)]
    pub(super) unsafe fn resume(&self) -> bool {
        // SAFETY: the caller upholds this function's contract, which is the same.
        unsafe { self.resume_for(Errand::GoOn) };
        self.task().is_none()
    }

    /// Resumes the fiber, whose task is suspended, for no more than a record of its frames (see
    /// `frames`): then it is suspended again.
    ///
    /// # Safety
    /// That of [`resume`](Self::resume); and the fiber is suspended in [`suspend`](Self::suspend).
    #[cfg(target_os = "linux")]
    pub(super) unsafe fn resume_to_record(&self) {
        // SAFETY: the caller upholds this function's contract, which is the same.
        unsafe { self.resume_for(Errand::Record) };
    }

    /// # Safety
    /// That of [`resume`](Self::resume).
    #[inline(always)]
    unsafe fn resume_for(&self, errand: Errand) {
        // SAFETY: the coroutine is `Some`, since `new` puts it in before it returns the fiber, and
        // only `destroy` takes it out. Only the worker's loop calls this, outside of any fiber, so
        // no other use of the coroutine is under way; the code that runs on the fiber never touches
        // `coroutine`.
        let coroutine = unsafe { (*self.coroutine.get()).as_mut().unwrap_unchecked() };
        coroutine.resume(errand);
    }

    /// Suspends the fiber: control returns to its worker, until the worker resumes the fiber.
    /// Returns whether the fiber is to record its frames, and to suspend again.
    ///
    /// # Safety
    /// Called by the code that runs on this fiber.
    #[inline(always)]
    pub(super) unsafe fn suspend(&self) -> bool {
        self.note_end();
        // SAFETY: the caller runs inside the coroutine, whose closure stored `suspender` before it
        // ran the task and keeps the suspender alive until it returns.
        unsafe { (*self.suspender.get()).suspend(()) != Errand::GoOn }
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
        debug_assert!(fiber.task().is_none());
        // SAFETY: the fiber is idle and its worker calls this outside of any fiber: the coroutine
        // is suspended, and no other reference to it exists.
        let coroutine = unsafe { (*fiber.coroutine.get()).take() };
        // The rest of the fiber has nothing to drop, and is freed with the stack on which it lies.
        const { assert!(!mem::needs_drop::<AtomicPtr<Task>>()) };
        if let Some(mut coroutine) = coroutine {
            // Without a task the closure's loop ends and the closure returns, so no frame is left.
            if coroutine.started() && !coroutine.done() {
                coroutine.resume(Errand::GoOn);
            }
        }
    }
}

/// Returns what a task waits for, by its two words: see [`Fiber`].
fn waits_for(waiting: &AtomicU64, outer: &AtomicU64) -> u64 {
    both(
        waiting.load(Ordering::Relaxed),
        outer.load(Ordering::Relaxed),
    )
}

fn both(waiting: u64, outer: u64) -> u64 {
    match (waiting, outer) {
        (RUNNABLE, _) => RUNNABLE,
        (waiting, RUNNABLE) => waiting,
        (waiting, outer) => outer | waiting & TIMED,
    }
}
