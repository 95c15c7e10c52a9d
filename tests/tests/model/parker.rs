//! A stand-in for the runtime's parker, on loom's threads: the same claim, the same order of verdict and wake-up.

use std::cell::Cell;
use std::time::Instant;

use loom::thread;

use super::handshake::Handshake;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Pending,
    Done(usize),
    Closed(usize),
    Retry,
    TimedOut,
}

pub(crate) struct Parker {
    handshake: Handshake,
    verdict: Cell<Verdict>,
}

impl Parker {
    pub(crate) fn new() -> Parker {
        Parker {
            handshake: Handshake::new(false),
            verdict: Cell::new(Verdict::Pending),
        }
    }

    pub(crate) fn claim(&self) -> bool {
        self.handshake.claim()
    }

    pub(crate) unsafe fn unpark(this: *const Parker, verdict: Verdict) {
        let parker = unsafe { &*this };
        parker.verdict.set(verdict);
        parker.handshake.finish_thread();
    }

    /// With a deadline the time is over at any moment: loom decides, by giving way first or not.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> Verdict {
        if deadline.is_some() {
            thread::yield_now();
            if !self.handshake.is_done() && self.claim() {
                return Verdict::TimedOut;
            }
        }
        while !self.handshake.is_done() {
            // A wake-up that never comes is reported as too many branches.
            thread::yield_now();
        }
        self.verdict.get()
    }
}

/// Some deadline; which one does not matter here.
pub(crate) fn give_deadline() -> Instant {
    Instant::now()
}
