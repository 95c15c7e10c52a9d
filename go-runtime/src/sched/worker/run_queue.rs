//! A worker's queue of fibers that can go on.
//!
//! It is used by the worker's thread only, at each switch, so it does without a `RefCell`'s count: no method lets anything else run
//! while the queue is borrowed.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::ptr::NonNull;

use crate::sched::fiber::Fiber;

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

    /// Takes the one that has waited for the longest, and shows those behind it, if there are more than `ahead`.
    #[inline(always)]
    pub(super) fn pop(
        &self,
        ahead: [usize; 2],
    ) -> Option<(NonNull<Fiber>, Option<[NonNull<Fiber>; 2]>)> {
        // SAFETY: as above.
        let fibers = unsafe { &mut *self.fibers.get() };
        let first = fibers.pop_front()?;
        let next = (fibers.len() > ahead[0]).then(|| ahead.map(|ahead| fibers[ahead]));
        Some((first, next))
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        // SAFETY: as above.
        unsafe { &*self.fibers.get() }.is_empty()
    }

    /// Gives memory back that a longer queue has left.
    pub(super) fn shrink(&self) {
        // SAFETY: as above.
        let fibers = unsafe { &mut *self.fibers.get() };
        fibers.shrink_to(2 * fibers.len());
    }
}
