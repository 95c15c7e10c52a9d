//! A stand-in for the runtime's parker, on loom's threads. The claim, and the order of verdict and
//! wake-up, are the same.
//!
//! A wait blocks on loom's `Notify`, because loom cannot see that a spinning thread will never go
//! on: a lost wake-up becomes a deadlock, which loom reports. `wakeups` checks the ordering of the
//! handshake itself. `Wakeup`, which futures use, is the real one.

use std::cell::Cell;
use std::time::Instant;

use loom::sync::{Arc, Notify};
use loom::thread;

use super::handshake::Handshake;
use super::reason::Why;
use super::verdict::Verdict;
use super::wakeup::Wakeup;

enum Who {
    /// Shared by an `Arc`, since the parker may be gone as soon as the wait is over.
    Thread(Arc<Notify>),
    Future(std::sync::Arc<Wakeup>),
}

pub(crate) struct Parker {
    handshake: Handshake,
    verdict: Cell<Verdict>,
    who: Who,
}

impl Parker {
    pub(crate) fn new() -> Parker {
        Parker::of(Who::Thread(Arc::new(Notify::new())))
    }

    pub(crate) fn for_future(wakeup: std::sync::Arc<Wakeup>) -> Parker {
        Parker::of(Who::Future(wakeup))
    }

    pub(super) fn is_future(&self) -> bool {
        matches!(self.who, Who::Future(_))
    }

    fn of(who: Who) -> Parker {
        Parker {
            handshake: Handshake::new(false),
            verdict: Cell::new(Verdict::Pending),
            who,
        }
    }

    pub(crate) fn note(&self, _: Why) {}

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.get()
    }

    pub(crate) fn claim(&self) -> bool {
        self.handshake.claim()
    }

    pub(crate) fn is_claimed(&self) -> bool {
        self.handshake.is_claimed()
    }

    pub(crate) unsafe fn unpark(this: *const Parker, verdict: Verdict) {
        // SAFETY: the caller has claimed the wait, so the parker lives until the handshake is
        // finished.
        let parker = unsafe { &*this };
        parker.verdict.set(verdict);
        match &parker.who {
            Who::Thread(thread) => {
                let thread = thread.clone();
                parker.handshake.finish_thread();
                thread.notify();
            }
            Who::Future(wakeup) => {
                let wakeup = wakeup.clone();
                wakeup.end();
            }
        }
    }

    /// Waits. A deadline may pass at any moment: loom decides, by yielding first or not.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> Verdict {
        let Who::Thread(thread) = &self.who else {
            unreachable!("a future waits by being polled");
        };
        if deadline.is_some() {
            thread::yield_now();
            if !self.handshake.is_done() && self.claim() {
                return Verdict::TimedOut;
            }
        }
        while !self.handshake.is_done() {
            thread.wait();
        }
        self.verdict.get()
    }
}
