//! Events that are counted, and those who wait for the next one: readiness of a descriptor, calls
//! of a future's waker.
//!
//! An edge says that something may have become possible, once. Each is counted, and wakes one of
//! those who wait. A waiter that finds that an operation would block waits for the count to differ
//! from what it was before the attempt.
//!
//! No edge is missed: the count is raised before the queue is looked into, and read under the
//! queue's lock before a waiter goes into the queue (see [`Waiters`]).

use std::time::Instant;

use super::observe::Observable;
use super::waiters::{self, Waiters};
use crate::primitives::atomic::{AtomicUsize, Ordering};

/// The count of edges before an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Edge(usize);

impl Edge {
    pub(crate) fn number(self) -> usize {
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
    waiters: Waiters,
}

impl Edges {
    pub(crate) fn new() -> Edges {
        Edges {
            count: AtomicUsize::new(1),
            waiters: Waiters::new(),
        }
    }

    /// To be read before an attempt.
    #[inline]
    pub(crate) fn now(&self) -> Edge {
        Edge(self.count.load(Ordering::Acquire))
    }

    /// Counts an edge. A waiter has to be [woken](Self::wake_one) for it.
    pub(crate) fn add(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Wakes the first waiter. If it leaves anything, it has to wake the next.
    pub(crate) fn wake_one(&self) {
        self.waiters.wake_one();
    }

    /// Wakes all waiters.
    pub(crate) fn wake_all(&self) {
        self.waiters.wake_all();
    }

    /// Waits for an edge after `at`, for `done` to be ready, or until `limit`, which is asked under
    /// the queue's lock: it must neither block nor panic. If `done` is ready from the beginning,
    /// the wait ends by that, whatever else has come.
    pub(crate) fn wait(
        &self,
        at: Edge,
        limit: impl FnOnce() -> Option<Instant>,
        done: Option<&dyn Observable>,
    ) -> Woken {
        match self.waiters.wait(|| self.now() == at, limit, done) {
            // Another look is never wrong.
            waiters::Woken::ByEvent | waiters::Woken::ByNothing => Woken::ByEdge,
            waiters::Woken::ByDone => Woken::ByDone,
            waiters::Woken::TimedOut => Woken::TimedOut,
        }
    }
}
