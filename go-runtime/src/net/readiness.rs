//! The known readiness of a descriptor, and the goroutines that wait for it.
//!
//! The poller's events are [edges](Edges), which are counted for each direction. An edge wakes one
//! waiter. If that waiter's operation leaves data or room, it wakes the next waiter.
//!
//! A read that has to wait:
//!
//! ```text
//!   reader                         Direction (read)                  poller
//!     edge() -------------------->  edges: 7
//!     read: WouldBlock
//!     note_drained(7) ----------->  drained = 7
//!     wait(7): parks in the queue
//!                                   edges: 8, wakes one   <------  on_event: readable
//!     edge() is 8, not drained
//!     read: data
//!     pass_on() ----------------->  wakes the next waiter, if any
//! ```
//!
//! Any thread may use a `Direction`: it consists of atomics and the queue of its edges, which has
//! its own lock.
//!
//! Invariant: no edge is missed. An operation reads the count before its attempt, and a wait
//! returns at once if the count has changed since.
//!
//! An attempt that drains a direction records the count, so no further attempt is made before the
//! next edge. For a request and its answer a server makes one read, one write, and its share of one
//! poll.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Instant;

use super::done::Done;
use crate::sched::{Interest, IoEvent};
use crate::wait::WaitReason;
use crate::wait::edges::{Edge, Edges, Woken};

/// The two directions of a descriptor.
#[derive(Default)]
pub(super) struct Directions {
    pub(super) read: Direction,
    pub(super) write: Direction,
}

impl Directions {
    /// Wakes the waiters after the caller has shut down reading, writing or both, so that they try
    /// again. (In the Unix domain there is no event for a socket whose writing ends.)
    pub(super) fn note_shutdown(&self, how: Shutdown) {
        if how != Shutdown::Write {
            self.read.note_edge(true);
        }
        if how != Shutdown::Read {
            self.write.note_edge(true);
        }
    }
}

impl Interest for Directions {
    fn on_event(&self, event: IoEvent) {
        if event.urgent {
            self.read.ends_early.store(true, Ordering::Relaxed);
        }
        if event.readable || event.read_closed || event.urgent {
            self.read.note_edge(event.read_closed);
        }
        if event.writable || event.write_closed {
            self.write.note_edge(event.write_closed);
        }
    }
}

/// Whether the system's events report urgent data.
const TELLS_OF_URGENT_DATA: bool = cfg!(any(target_os = "linux", target_os = "android"));

pub(super) struct Direction {
    edges: Edges,
    /// The count of edges at which the last operation found that nothing more was possible; 0 if no
    /// operation has found that yet.
    drained: AtomicUsize,
    /// Number of goroutines that wait, or are about to.
    waiters: AtomicU32,
    /// Whether the direction has been shut down: there will be no more edges, and every operation
    /// completes at once.
    closed: AtomicBool,
    /// Whether an operation may stop before it has used up all data or room, for instance at urgent
    /// data.
    ends_early: AtomicBool,
}

impl Default for Direction {
    fn default() -> Direction {
        Direction {
            edges: Edges::new(),
            drained: AtomicUsize::new(0),
            waiters: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            ends_early: AtomicBool::new(!TELLS_OF_URGENT_DATA),
        }
    }
}

impl Direction {
    /// Counts an edge and wakes a waiter. The poller and a shutdown call it.
    fn note_edge(&self, closed: bool) {
        if closed {
            self.closed.store(true, Ordering::Relaxed);
        }
        self.edges.add();
        self.edges.wake_one();
    }

    /// Returns the count of edges. A caller reads it before its attempt.
    #[inline]
    pub(super) fn edge(&self) -> Edge {
        self.edges.now()
    }

    /// Returns whether an attempt would be in vain, because the last attempt found that nothing
    /// more was possible, and there has been no edge since.
    #[inline]
    pub(super) fn is_drained(&self, at: Edge) -> bool {
        self.drained.load(Ordering::Relaxed) == at.number() && !self.closed.load(Ordering::Relaxed)
    }

    /// Records that an attempt that began at `at` found that nothing more was possible.
    #[inline]
    pub(super) fn note_drained(&self, at: Edge) {
        self.drained.store(at.number(), Ordering::Relaxed);
    }

    /// Records that an attempt that began at `at` did less than it was asked to do, which usually
    /// means that nothing more is possible.
    ///
    /// A read also stops at urgent data. In that case the last event before `at` has reported the
    /// urgent data, so `ends_early` is set; later urgent data has an event of its own.
    #[inline]
    pub(super) fn note_partial(&self, at: Edge) {
        if !self.ends_early.load(Ordering::Relaxed) {
            self.note_drained(at);
        }
    }

    /// Wakes one of the other waiters, because something may still be possible.
    // A waiter that was in the queue when the caller's edge arrived is counted by now, because the
    // queue's lock orders the two; a waiter that came later has made its own attempt.
    #[inline]
    pub(super) fn pass_on(&self) {
        if self.waiters.load(Ordering::Relaxed) > 0 {
            self.edges.wake_one();
        }
    }

    /// Wakes all waiters after a change of the deadline, so that they read it again.
    pub(super) fn recheck_deadline(&self) {
        self.edges.wake_all();
    }

    /// Waits for an edge after `at`, for `done`, or until `limit`, a function that must neither
    /// block nor panic. The wait may end early.
    pub(super) fn wait(
        &self,
        at: Edge,
        limit: impl FnOnce() -> Option<Instant>,
        done: Done<'_>,
    ) -> Woken {
        self.waiters.fetch_add(1, Ordering::Relaxed);
        let woken = self.edges.wait(WaitReason::IoWait, at, limit, done);
        self.waiters.fetch_sub(1, Ordering::Relaxed);
        woken
    }
}
