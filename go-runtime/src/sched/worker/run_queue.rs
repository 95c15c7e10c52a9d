//! A worker's run queue: a ring of the fibers that can continue.
//!
//! ```text
//!             popped                  pushed
//!               v                       v
//!  +-----+-----+-----+-----+-----+-----+-----+-----+
//!  |     |     | f1  | f2  | f3  | f4  |     |     |   `mask + 1` slots, a power of two;
//!  +-----+-----+-----+-----+-----+-----+-----+-----+   a number's slot is `number & mask`
//!                next                    the next push goes here
//! ```
//!
//! Only the worker's thread uses the queue, at each switch; other threads may read the counts
//! `popped` and `pushed` ([`QueueEnds`]), but not the ring. The queue needs no `RefCell`, because
//! no method calls other code of this runtime. (The ring may grow, for which it calls the
//! allocator; an allocator does not use this runtime.)
//!
//! Where very many goroutines wait, a woken one is cold in the caches. So a `pop` also prefetches
//! memory of two goroutines further back in the queue: the fiber of the further one, and the used
//! end of the nearer one's stack. The nearer one's fiber, which an earlier `pop` prefetched, points
//! to that end.

use std::cell::Cell;
use std::ptr::NonNull;

use crate::sched::fiber::Fiber;
use crate::sched::stats::QueueEnds;
use crate::sched::tuning::{FIBER_AHEAD, QUEUE_LENGTH, STACK_AHEAD};

type Slot = Cell<Option<NonNull<Fiber>>>;

pub(super) struct RunQueue {
    /// The ring of `mask + 1` slots, a box that `ring` leaked.
    slots: Cell<NonNull<Slot>>,
    mask: Cell<usize>,
    /// Numbers of fibers pushed and popped since the start, which also give the slots of the next
    /// ones.
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

    /// Returns the slot of the fiber that is pushed, or popped, as number `at`.
    #[inline(always)]
    fn slot(&self, at: usize) -> &Slot {
        // SAFETY: the masked number is less than `mask + 1`, the number of slots in the ring. Only
        // `resize` frees a ring, and no method keeps a slot across a call of `resize`.
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

    /// Takes the fiber that has waited the longest, and prefetches memory of fibers behind it.
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
                // SAFETY: a fiber in the queue has not ended and belongs to this worker, which
                // alone could destroy it.
                unsafe { fiber.as_ref() }.prefetch_stack();
            }
        }
        first
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.ends.popped() == self.ends.pushed()
    }

    /// Returns how many fibers have been popped since the start.
    pub(super) fn popped(&self) -> usize {
        self.ends.popped()
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the number of fibers pushed since the start.
    pub(super) fn pushed(&self) -> usize {
        self.ends.pushed()
    }

    /// Returns the fibers in the queue that were pushed after the first `pushed` ones.
    pub(super) fn pushed_since(&self, pushed: usize) -> impl Iterator<Item = NonNull<Fiber>> {
        let new = self.ends.pushed().wrapping_sub(pushed).min(self.len());
        let first = self.ends.pushed().wrapping_sub(new);
        (0..new).filter_map(move |n| self.slot(first.wrapping_add(n)).get())
    }

    /// Returns whether a fiber was popped that was pushed after the first `pushed` ones.
    pub(super) fn has_popped_since(&self, pushed: usize) -> bool {
        self.ends.popped().wrapping_sub(pushed).cast_signed() > 0
    }

    /// Gives back memory that a longer queue needed.
    pub(super) fn shrink(&self) {
        let enough = (2 * self.len()).next_power_of_two().max(QUEUE_LENGTH);
        if enough <= self.mask.get() {
            self.resize(enough);
        }
    }

    /// Moves the fibers to a ring of `length` slots: a power of two, not less than the number of
    /// fibers.
    #[cold]
    #[inline(never)]
    fn resize(&self, length: usize) {
        let (new, mask) = (ring(length), length - 1);
        for at in (0..self.len()).map(|n| self.ends.popped().wrapping_add(n)) {
            // SAFETY: the masked number is less than `length`, the number of slots in the new ring.
            unsafe { new.add(at & mask).as_ref() }.set(self.slot(at).get());
        }
        let old = self.slots.replace(new);
        let length = self.mask.replace(mask) + 1;
        let old = NonNull::slice_from_raw_parts(old, length);
        // SAFETY: `ring` leaked `old` as a box of `length` slots, and the queue uses the new ring
        // now; no slot of the old ring is borrowed.
        drop(unsafe { Box::from_raw(old.as_ptr()) });
    }
}

/// Makes a ring of `length` empty slots. A worker is never freed, and neither is its last ring.
fn ring(length: usize) -> NonNull<Slot> {
    let ring: Box<[Slot]> = (0..length).map(|_| Cell::new(None)).collect();
    NonNull::from(Box::leak(ring)).cast()
}
