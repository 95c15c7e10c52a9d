//! What is known of a descriptor's readiness, and who waits for it.
//!
//! The poller's events are *edges*: they say that something may have become possible, once. Each direction counts them. Who finds that
//! an operation would block waits for the count to change, on a channel of one `()`: every edge tries to send one, so that it either wakes one who
//! waits or is found by the next who comes. A waiter that has been woken, and has not used up all there was, passes it on to the next.
//!
//! No wake-up is lost: who waits makes the channel (if there is none yet) and then looks at the count again; the poller changes the count and then looks
//! whether there is a channel; both put a full fence in between.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::time::Instant;

use super::done::Done;
use crate::channel::core::{Core, Patience, Received};
use crate::channel::{Receiver, Select, Source};
use crate::sched::{Interest, Readiness};

/// The two directions of a descriptor.
#[derive(Default)]
pub(super) struct Directions {
    pub(super) read: Direction,
    pub(super) write: Direction,
}

impl Interest for Directions {
    fn notify(&self, readiness: Readiness) {
        if readiness.readable || readiness.read_closed {
            self.read.note_edge(readiness.read_closed);
        }
        if readiness.writable || readiness.write_closed {
            self.write.note_edge(readiness.write_closed);
        }
    }
}

pub(super) struct Direction {
    /// How many edges have come. It starts at 1.
    edges: AtomicUsize,
    /// The count at which an operation has found nothing more to be possible; 0 if none has.
    drained: AtomicUsize,
    /// There will be no more edges: an operation says at once that all is over.
    closed: AtomicBool,
    /// How many wait, or are about to.
    waiters: AtomicUsize,
    /// What they wait on; most descriptors need no such thing for writing.
    token: OnceLock<Receiver<()>>,
}

impl Default for Direction {
    fn default() -> Direction {
        Direction {
            edges: AtomicUsize::new(1),
            drained: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            waiters: AtomicUsize::new(0),
            token: OnceLock::new(),
        }
    }
}

/// The count of edges before an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge(usize);

/// Why a wait has ended.
pub(super) enum Ended {
    /// The operation may have become possible.
    Ready,
    TimedOut,
    Done,
}

impl Direction {
    /// For the poller.
    fn note_edge(&self, closed: bool) {
        if closed {
            self.closed.store(true, Ordering::Relaxed);
        }
        self.edges.fetch_add(1, Ordering::SeqCst);
        self.offer();
    }

    fn offer(&self) {
        fence(Ordering::SeqCst);
        if let Some(core) = self.core() {
            // If one lies there already, it is enough.
            let _ = core.send((), Patience::None);
        }
    }

    fn core(&self) -> Option<&Core<()>> {
        match self.token.get()?.source() {
            Source::Core(core) => Some(core),
            _ => None,
        }
    }

    /// To be read before an attempt.
    #[inline]
    pub(super) fn edge(&self) -> Edge {
        Edge(self.edges.load(Ordering::SeqCst))
    }

    /// Whether an attempt would be in vain: nothing has come since the last one found the end.
    #[inline]
    pub(super) fn is_drained(&self, at: Edge) -> bool {
        self.drained.load(Ordering::Relaxed) == at.0 && !self.closed.load(Ordering::Relaxed)
    }

    /// An attempt that began at `at` has found nothing more to be possible.
    #[inline]
    pub(super) fn note_drained(&self, at: Edge) {
        self.drained.store(at.0, Ordering::Relaxed);
    }

    /// Something may still be possible: one of the others who wait should look.
    #[inline]
    pub(super) fn pass_on(&self) {
        if self.waiters.load(Ordering::SeqCst) > 0 {
            self.offer();
        }
    }

    /// What they wait for has changed: one of those who wait looks again, and passes it on when it waits no more. Who does not wait yet counts
    /// itself before it looks how long it may.
    pub(super) fn look_again(&self) {
        fence(Ordering::SeqCst);
        self.pass_on();
    }

    /// Waits for an edge after `at`, but not after `limit` says, which is asked once the waiter has been counted. It may end too soon.
    pub(super) fn wait(
        &self,
        at: Edge,
        limit: impl FnOnce() -> Option<Instant>,
        done: Option<&dyn Done>,
    ) -> Ended {
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let token = self
            .token
            .get_or_init(|| Receiver::new(Source::Core(Arc::new(Core::new(Some(1))))));
        fence(Ordering::SeqCst);
        let ended = if self.edge() == at {
            self.wait_for_token(token, limit(), done)
        } else {
            Ended::Ready
        };
        self.waiters.fetch_sub(1, Ordering::SeqCst);
        ended
    }

    fn wait_for_token(
        &self,
        token: &Receiver<()>,
        until: Option<Instant>,
        done: Option<&dyn Done>,
    ) -> Ended {
        let patience = until.map_or(Patience::Forever, Patience::Until);
        let Some(done) = done else {
            let Some(core) = self.core() else {
                unreachable!("it was made by `wait`");
            };
            return match core.receive(patience) {
                Received::TimedOut => Ended::TimedOut,
                _ => Ended::Ready,
            };
        };
        let mut select = Select::new();
        select.recv(token);
        let done_arm = done.arm(&mut select);
        let ready = match until {
            Some(until) => select.ready_deadline(until).ok(),
            None => Some(select.ready()),
        };
        match ready {
            None => Ended::TimedOut,
            Some(arm) if arm == done_arm => Ended::Done,
            Some(_) => {
                // Another one may have been faster: then this one looks in vain, and waits again.
                if let Some(core) = self.core() {
                    let _ = core.receive(Patience::None);
                }
                Ended::Ready
            }
        }
    }
}
