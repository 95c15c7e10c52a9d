//! Counted events, and the operations that wait for the next one: readiness of a descriptor, calls
//! of a future's waker.
//!
//! An edge says, once, that something may have become possible. Each edge is counted, and wakes one
//! waiting operation. An operation that would block waits for the count to differ from what the
//! count was before the attempt.
//!
//! No edge is missed: the thread that counts an edge raises the count before it looks into the
//! queue, and a waiting operation reads the count, under the queue's lock, before it puts its
//! waiter into the queue (see [`WaitList`]).

use std::time::Instant;

use super::event;
use super::list::WaitList;
use super::observable::Observable;
use super::reason::WaitReason;
use crate::primitives::atomic::{AtomicUsize, Ordering};

/// The count of edges before an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Edge(usize);

impl Edge {
    pub(crate) fn number(self) -> usize {
        self.0
    }
}

/// Why a wait for an edge has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// The operation may have become possible.
    ByEdge,
    /// The done channel is ready.
    ByDone,
    TimedOut,
}

pub(crate) struct Edges {
    /// The count starts at 1.
    count: AtomicUsize,
    waiting: WaitList,
}

impl Edges {
    pub(crate) fn new() -> Edges {
        Edges {
            count: AtomicUsize::new(1),
            waiting: WaitList::new(()),
        }
    }

    /// Returns the count, to be read before an attempt.
    #[inline]
    pub(crate) fn now(&self) -> Edge {
        Edge(self.count.load(Ordering::Acquire))
    }

    /// Counts an edge. The caller has to [wake](Self::wake_one) a waiter for it.
    pub(crate) fn add(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Wakes the first waiter. If the waiter's operation does not use up everything, the operation
    /// has to wake the next waiter.
    pub(crate) fn wake_one(&self) {
        self.waiting.wake_one();
    }

    /// Wakes all waiters.
    pub(crate) fn wake_all(&self) {
        self.waiting.wake_all();
    }

    /// Waits for an edge after `at`, for `done` to be ready, or until `limit`, which is called
    /// under the queue's lock: it must neither block nor panic. If `done` is ready from the
    /// beginning, the wait ends for that reason, even if there has been an edge.
    pub(crate) fn wait(
        &self,
        reason: WaitReason,
        at: Edge,
        limit: impl FnOnce() -> Option<Instant>,
        done: Option<&dyn Observable>,
    ) -> Woken {
        let still = || self.now() == at;
        match self.waiting.wait_for_event(reason, still, limit, done) {
            // An event without an edge counts as an edge, since another attempt is never wrong.
            event::Woken::ByEvent | event::Woken::ByNothing => Woken::ByEdge,
            event::Woken::ByDone => Woken::ByDone,
            event::Woken::TimedOut => Woken::TimedOut,
        }
    }
}
