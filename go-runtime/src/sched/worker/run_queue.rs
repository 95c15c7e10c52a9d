//! A worker's queue of fibers that can go on: a ring whose ends other threads may read.
//!
//! The worker's thread alone uses it, at each switch, so it does without a `RefCell`'s count: no
//! method lets anything else run meanwhile. (The ring may grow, which takes an allocator that does
//! not use this runtime.)

use std::cell::Cell;
use std::ptr::NonNull;

use crate::sched::fiber::Fiber;
use crate::sched::stats::QueueEnds;
use crate::sched::tuning::{FIBER_AHEAD, QUEUE_LENGTH, STACK_AHEAD};

type Slot = Cell<Option<NonNull<Fiber>>>;

pub(super) struct RunQueue {
    /// The slots of the ring, which `Box::leak` has given away; there are `mask + 1`.
    slots: Cell<NonNull<Slot>>,
    mask: Cell<usize>,
    /// How many fibers have ever been pushed and popped, which is also where the next ones are.
    ends: &'static QueueEnds,
}

impl RunQueue {
    pub(super) fn new(ends: &'static QueueEnds) -> RunQueue {
        RunQueue {
            slots: Cell::new(ring(QUEUE_LENGTH)),
            mask: Cell::new(QUEUE_LENGTH - 1),
            ends,
        }
    }

    /// The slot of the fiber that is pushed, or popped, as number `at`.
    #[inline(always)]
    fn slot(&self, at: usize) -> &Slot {
        // SAFETY: masked, the number is that of a slot of the ring. `resize` alone frees a ring,
        // and no method keeps a slot over a call of it.
        unsafe { self.slots.get().add(at & self.mask.get()).as_ref() }
    }

    #[inline(always)]
    pub(super) fn push(&self, fiber: NonNull<Fiber>) {
        let pushed = self.ends.pushed();
        if pushed.wrapping_sub(self.ends.popped()) > self.mask.get() {
            self.resize(2 * (self.mask.get() + 1));
        }
        self.slot(pushed).set(Some(fiber));
        self.ends.set_pushed(pushed.wrapping_add(1));
    }

    /// Takes the fiber that has waited for the longest, and has what those behind it need fetched.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<NonNull<Fiber>> {
        let popped = self.ends.popped();
        let left = self.ends.pushed().wrapping_sub(popped);
        if left == 0 {
            return None;
        }
        let first = self.slot(popped).get();
        self.ends.set_popped(popped.wrapping_add(1));
        if left > FIBER_AHEAD + 1 {
            let ahead = |places| self.slot(popped.wrapping_add(1 + places)).get();
            if let Some(fiber) = ahead(FIBER_AHEAD) {
                Fiber::prefetch(fiber);
            }
            if let Some(fiber) = ahead(STACK_AHEAD) {
                // SAFETY: what is in the queue has not ended, and is this worker's.
                unsafe { fiber.as_ref() }.prefetch_stack();
            }
        }
        first
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.ends.popped() == self.ends.pushed()
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.ends.len()
    }

    /// Gives memory back that a longer queue has left.
    pub(super) fn shrink(&self) {
        let enough = (2 * self.len()).next_power_of_two().max(QUEUE_LENGTH);
        if enough <= self.mask.get() {
            self.resize(enough);
        }
    }

    /// Moves the fibers to a ring of `length` slots, a power of two, which hold all of them.
    #[cold]
    #[inline(never)]
    fn resize(&self, length: usize) {
        let (new, mask) = (ring(length), length - 1);
        for at in (0..self.len()).map(|n| self.ends.popped().wrapping_add(n)) {
            // SAFETY: masked, the number is that of a slot of the new ring.
            unsafe { new.add(at & mask).as_ref() }.set(self.slot(at).get());
        }
        let old = self.slots.replace(new);
        let length = self.mask.replace(mask) + 1;
        let old = NonNull::slice_from_raw_parts(old, length);
        // SAFETY: leaked by `ring` as a box of so many slots, and not in use any more.
        drop(unsafe { Box::from_raw(old.as_ptr()) });
    }
}

/// A ring of `length` empty slots. A worker, and so its last ring, is never freed.
fn ring(length: usize) -> NonNull<Slot> {
    let ring: Box<[Slot]> = (0..length).map(|_| Cell::new(None)).collect();
    NonNull::from(Box::leak(ring)).cast()
}
