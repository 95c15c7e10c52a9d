//! A worker's queue of fibers that can go on.
//!
//! It is used by the worker's thread only, at each switch, so it does without a `RefCell`'s count: no method lets anything else run
//! while the queue is borrowed. (It may grow, which takes an allocator that does not use this runtime.)

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::ptr::NonNull;

use crate::sched::fiber::Fiber;

/// How far ahead of its turn a goroutine's fiber and its stack are fetched into the caches. Where very many wait, each is cold.
const FIBER_AHEAD: usize = 8;
const STACK_AHEAD: usize = 4;
/// If more wait, their stacks are not in this processor's own caches any more.
const MANY: usize = 4096;

#[derive(Default)]
pub(super) struct RunQueue {
    fibers: UnsafeCell<VecDeque<NonNull<Fiber>>>,
}

impl RunQueue {
    #[inline(always)]
    pub(super) fn push(&self, fiber: NonNull<Fiber>) {
        // SAFETY: the queue is not `Sync`, and no reference into it is kept beyond a method: this is the only one.
        unsafe { &mut *self.fibers.get() }.push_back(fiber);
    }

    /// Takes the one that has waited for the longest, and has what those behind it need fetched.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<NonNull<Fiber>> {
        // SAFETY: as above.
        let fibers = unsafe { &mut *self.fibers.get() };
        let first = fibers.pop_front()?;
        if fibers.len() > FIBER_AHEAD {
            Fiber::prefetch(fibers[FIBER_AHEAD]);
            // SAFETY: what is in the queue has not ended, and is this worker's.
            unsafe { fibers[STACK_AHEAD].as_ref() }.prefetch_stack(fibers.len() > MANY);
        }
        Some(first)
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        // SAFETY: as above.
        unsafe { &*self.fibers.get() }.is_empty()
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        // SAFETY: as in `push`: no other reference into the queue lives.
        unsafe { &*self.fibers.get() }.len()
    }

    /// Gives memory back that a longer queue has left.
    pub(super) fn shrink(&self) {
        // SAFETY: as above.
        let fibers = unsafe { &mut *self.fibers.get() };
        fibers.shrink_to(2 * fibers.len());
    }
}
