//! What is known of a descriptor's readiness, and who waits for it.
//!
//! The poller's events are [edges](Edges), counted for each direction. A waiter that one has woken, and that has not used up all there was, passes it on to
//! the next.
//!
//! Who has a done channel besides waits in a select, and so for a channel: of one `()`, which every edge tries to send as soon as there is the
//! channel. No edge is missed there either: who waits makes the channel, if there is none yet, and then looks at the count
//! again; the poller changes the count and then looks whether there is a channel; both put a full fence in between.

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence};
use std::time::Instant;

use super::done::Done;
use super::edges::{Edge, Edges};
use crate::channel::core::{Core, Patience};
use crate::channel::{Receiver, Select, Source};
use crate::sched::{Interest, Readiness};

/// The two directions of a descriptor.
#[derive(Default)]
pub(super) struct Directions {
    pub(super) read: Direction,
    pub(super) write: Direction,
}

impl Directions {
    /// The caller has shut down reading, writing or both: those who wait look again. (In the Unix domain there is no event for one whose writing ends.)
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
    /// The count of edges at which an operation has found nothing more to be possible; 0 if none has.
    drained: AtomicUsize,
    /// What those wait on who have a done channel besides: few descriptors need it, for one direction.
    token: OnceLock<Box<Receiver<()>>>,
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
            token: OnceLock::new(),
            waiters: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            ends_early: AtomicBool::new(!TELLS_OF_URGENT_DATA),
        }
    }
}

/// Why a wait has ended.
pub(super) enum Ended {
    /// The operation may have become possible.
    Ready,
    TimedOut,
    Done,
}

fn core(token: &Receiver<()>) -> Option<&Core<()>> {
    match token.source() {
        Source::Core(core) => Some(core),
        _ => None,
    }
}

impl Direction {
    /// For the poller.
    fn note_edge(&self, closed: bool) {
        if closed {
            self.closed.store(true, Ordering::Relaxed);
        }
        self.edges.add();
        self.edges.wake_one();
        self.offer_token();
    }

    fn offer_token(&self) {
        fence(Ordering::SeqCst);
        if let Some(core) = self.token.get().and_then(|token| core(token)) {
            // If one lies there already, it is enough.
            let _ = core.send((), Patience::None);
        }
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

    /// An attempt that began at `at` has done less than it could have, as if nothing more were possible.
    ///
    /// A read also ends where urgent data is. If that is why, the last event before `at` told of it: what comes later has an event of its own.
    #[inline]
    pub(super) fn note_partial(&self, at: Edge) {
        if !self.ends_early.load(Ordering::Relaxed) {
            self.note_drained(at);
        }
    }

    /// Something may still be possible: one of the others who wait should look.
    // One who was there when the edge came that has woken the caller is counted by now, by the lock of the queue; one who came later has looked for itself. Those with
    // a done channel need not be: the edge itself has offered them the token, after it has woken one of the others.
    #[inline]
    pub(super) fn pass_on(&self) {
        if self.waiters.load(Ordering::Relaxed) > 0 {
            self.edges.wake_one();
            self.offer_token();
        }
    }

    /// How long they may wait has changed: those who wait look again. (Of those who have a done channel one does, and passes it on when it waits
    /// no more.)
    pub(super) fn look_again(&self) {
        self.edges.wake_all();
        self.offer_token();
    }

    /// Waits for an edge after `at`, but not after `limit` says, which must neither block nor panic. It may end too soon.
    pub(super) fn wait(
        &self,
        at: Edge,
        limit: impl FnOnce() -> Option<Instant>,
        done: Option<&dyn Done>,
    ) -> Ended {
        self.waiters.fetch_add(1, Ordering::Relaxed);
        let ended = match done {
            Some(done) => self.wait_with_done(at, limit, done),
            None if self.edges.wait(at, limit) => Ended::Ready,
            None => Ended::TimedOut,
        };
        self.waiters.fetch_sub(1, Ordering::Relaxed);
        ended
    }

    fn wait_with_done(
        &self,
        at: Edge,
        limit: impl FnOnce() -> Option<Instant>,
        done: &dyn Done,
    ) -> Ended {
        let token = self
            .token
            .get_or_init(|| Box::new(Receiver::new(Source::Core(Arc::new(Core::new(Some(1)))))));
        fence(Ordering::SeqCst);
        if self.edge() != at {
            return Ended::Ready;
        }
        let mut select = Select::new();
        select.recv(token);
        let done_arm = done.arm(&mut select);
        let ready = match limit() {
            Some(until) => select.ready_deadline(until).ok(),
            None => Some(select.ready()),
        };
        match ready {
            None => Ended::TimedOut,
            Some(arm) if arm == done_arm => Ended::Done,
            Some(_) => {
                // Another one may have been faster: then this one looks in vain, and waits again.
                if let Some(core) = core(token) {
                    let _ = core.receive(Patience::None);
                }
                Ended::Ready
            }
        }
    }
}
