//! The edges of one direction of a descriptor, and the queue of those who wait for the next one.
//!
//! An edge says that something may have become possible, once. Each is counted, and wakes one of those who wait. Whoever finds that an operation would
//! block waits for the count to differ from what it was before the attempt.
//!
//! No edge is missed: the count is raised before the queue is looked into, and looked at in the queue's lock before anybody goes into the queue. So of an
//! edge and a waiter either the waiter sees the count, or the edge finds the waiter. The same holds for limits, which are changed
//! before the queue is looked into, and read in its lock.
//!
//! A done channel ends a wait as well: an [observer](Observable) stands in its queue, with the same parker as the waiter here, so one of the two ends the wait and
//! the other is passed over. It is queued before the lock of this queue is given back. That lock is taken before a channel's, and never the other way
//! round: a channel tells nobody before it has given its own back.

use std::cell::UnsafeCell;
use std::ptr;
use std::time::Instant;

use crate::channel::observe::{Look, Observable};
use crate::channel::wait_queue::{Claim, Offer, WaitQueue, Waiter};
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::spin_lock::RawSpinLock;
use crate::sched::{Parker, Verdict};

/// The count of edges before an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Edge(usize);

impl Edge {
    pub(super) fn number(self) -> usize {
        self.0
    }
}

/// Why a wait has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// The operation may have become possible.
    ByEdge,
    /// The done channel is ready.
    ByDone,
    TimedOut,
}

pub(crate) struct Edges {
    /// It starts at 1.
    count: AtomicUsize,
    /// Guarded by `lock`.
    waiting: UnsafeCell<WaitQueue>,
    lock: RawSpinLock,
}

// SAFETY: `waiting` is used under the lock only.
unsafe impl Sync for Edges {}

impl Edges {
    pub(crate) fn new() -> Edges {
        Edges {
            count: AtomicUsize::new(1),
            waiting: UnsafeCell::new(WaitQueue::new()),
            lock: RawSpinLock::new(),
        }
    }

    /// To be read before an attempt.
    #[inline]
    pub(crate) fn now(&self) -> Edge {
        Edge(self.count.load(Ordering::Acquire))
    }

    /// Counts an edge. One who waits has to be [woken](Self::wake_one) for it.
    pub(crate) fn add(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Wakes the first who waits. If it leaves anything, it has to wake the next.
    pub(crate) fn wake_one(&self) {
        if let Some(first) = self.with_queue(WaitQueue::take) {
            // SAFETY: it was claimed and taken out of the queue just now.
            unsafe { Waiter::finish(first) };
        }
    }

    /// Wakes all who wait.
    pub(crate) fn wake_all(&self) {
        self.with_queue(WaitQueue::take_all).end(Verdict::Done);
    }

    /// Waits for an edge after `at`, for `done` to be ready, or until `limit`, which is asked in the queue's lock: it must neither block nor panic.
    /// If `done` is ready from the beginning, the wait ends by that, whatever else has come.
    pub(crate) fn wait(
        &self,
        at: Edge,
        limit: impl FnOnce() -> Option<Instant>,
        done: Option<&dyn Observable>,
    ) -> Woken {
        self.lock.lock();
        if self.now() != at {
            // SAFETY: locked above, and the queue has not been used.
            unsafe { self.lock.unlock() };
            return if done.is_some_and(Observable::is_ready) {
                Woken::ByDone
            } else {
                Woken::ByEdge
            };
        }
        let mut until = limit();
        let parker = Parker::new();
        let observer = Waiter::new(Offer::Message, Claim::Contested);
        if let Some(done) = done {
            observer.set_up(&parker, 0, ptr::null_mut());
            // SAFETY: set up just now, and new. It is told, or taken out below, and nothing in between unwinds.
            match unsafe { done.observe(&observer) } {
                Look::Waits(due) => until = until.into_iter().chain(due).min(),
                Look::Ready => {
                    // SAFETY: locked above, and the queue has not been used.
                    unsafe { self.lock.unlock() };
                    return Woken::ByDone;
                }
            }
        }
        let claim = done.map_or(Claim::until(until), |_| Claim::Contested);
        let waiter = Waiter::new(Offer::Message, claim);
        waiter.set_up(&parker, 0, ptr::null_mut());
        // SAFETY: the lock is held. An edge that unparks us has taken the waiter out; after anything else we do, below.
        unsafe { (*self.waiting.get()).push(&waiter) };
        // SAFETY: locked above, and the queue is not used any more.
        unsafe { self.lock.unlock() };
        let verdict = parker.park(until);
        let by_edge = matches!(verdict, Verdict::Done(_));
        if !by_edge {
            // SAFETY: it has been in this queue only.
            self.with_queue(|queue| unsafe { queue.remove(&waiter) });
        }
        if let Some(done) = done {
            // Who has told us to look again has taken the observer out.
            if verdict != Verdict::Retry {
                // SAFETY: it was queued there.
                unsafe { done.stop_observing(&observer) };
            }
            if !by_edge && done.is_ready() {
                return Woken::ByDone;
            }
        }
        match verdict {
            Verdict::TimedOut => Woken::TimedOut,
            // Another look is never wrong.
            _ => Woken::ByEdge,
        }
    }

    fn with_queue<R>(&self, f: impl FnOnce(&mut WaitQueue) -> R) -> R {
        self.lock.lock();
        // SAFETY: the lock is held, and nothing that is passed in here comes here again.
        let result = f(unsafe { &mut *self.waiting.get() });
        // SAFETY: locked above, and the queue is not used any more: no result refers to it.
        unsafe { self.lock.unlock() };
        result
    }
}
