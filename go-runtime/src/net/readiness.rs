//! What is known of a descriptor's readiness, and who waits for it.
//!
//! The poller's events are [edges](Edges), counted for each direction. A waiter that one has woken,
//! and that has not used up all there was, passes it on to the next.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Instant;

use super::done::Done;
use crate::sched::{Interest, Readiness};
use crate::wait::edges::{Edge, Edges, Woken};

/// The two directions of a descriptor.
#[derive(Default)]
pub(super) struct Directions {
    pub(super) read: Direction,
    pub(super) write: Direction,
}

impl Directions {
    /// The caller has shut down reading, writing or both: those who wait look again. (In the Unix
    /// domain there is no event for one whose writing ends.)
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
    fn notify(&self, readiness: Readiness) {
        if readiness.urgent {
            self.read.ends_early.store(true, Ordering::Relaxed);
        }
        if readiness.readable || readiness.read_closed || readiness.urgent {
            self.read.note_edge(readiness.read_closed);
        }
        if readiness.writable || readiness.write_closed {
            self.write.note_edge(readiness.write_closed);
        }
    }
}

/// Whether the system's events do.
const TELLS_OF_URGENT_DATA: bool = cfg!(any(target_os = "linux", target_os = "android"));

pub(super) struct Direction {
    edges: Edges,
    /// The count of edges at which an operation has found nothing more to be possible; 0 if none
    /// has.
    drained: AtomicUsize,
    /// How many wait, or are about to.
    waiters: AtomicU32,
    /// There will be no more edges: an operation says at once that all is over.
    closed: AtomicBool,
    /// An operation may end before there is nothing more.
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
    /// For the poller, and a shutdown.
    fn note_edge(&self, closed: bool) {
        if closed {
            self.closed.store(true, Ordering::Relaxed);
        }
        self.edges.add();
        self.edges.wake_one();
    }

    /// To be read before an attempt.
    #[inline]
    pub(super) fn edge(&self) -> Edge {
        self.edges.now()
    }

    /// Whether an attempt would be in vain: nothing has come since the last one found the end.
    #[inline]
    pub(super) fn is_drained(&self, at: Edge) -> bool {
        self.drained.load(Ordering::Relaxed) == at.number() && !self.closed.load(Ordering::Relaxed)
    }

    /// An attempt that began at `at` has found nothing more to be possible.
    #[inline]
    pub(super) fn note_drained(&self, at: Edge) {
        self.drained.store(at.number(), Ordering::Relaxed);
    }

    /// An attempt that began at `at` has done less than it could have, as if nothing more were
    /// possible.
    ///
    /// A read also ends where urgent data is. If that is why, the last event before `at` told of
    /// it: what comes later has an event of its own.
    #[inline]
    pub(super) fn note_partial(&self, at: Edge) {
        if !self.ends_early.load(Ordering::Relaxed) {
            self.note_drained(at);
        }
    }

    /// Something may still be possible: one of the others who wait should look.
    // One who was there when the edge came that has woken the caller is counted by now, by the lock
    // of the queue; one who came later has looked for itself.
    #[inline]
    pub(super) fn pass_on(&self) {
        if self.waiters.load(Ordering::Relaxed) > 0 {
            self.edges.wake_one();
        }
    }

    /// How long they may wait has changed: those who wait look again.
    pub(super) fn look_again(&self) {
        self.edges.wake_all();
    }

    /// Waits for an edge after `at`, or for `done`, but not after `limit` says, which must neither
    /// block nor panic. It may end too soon.
    pub(super) fn wait(
        &self,
        at: Edge,
        limit: impl FnOnce() -> Option<Instant>,
        done: Done<'_>,
    ) -> Woken {
        self.waiters.fetch_add(1, Ordering::Relaxed);
        let woken = self.edges.wait(at, limit, done);
        self.waiters.fetch_sub(1, Ordering::Relaxed);
        woken
    }
}
