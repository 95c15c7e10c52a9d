//! A stand-in for the runtime's parker, on loom's threads: the same claim, the same order of verdict and wake-up.
//!
//! It blocks on a condition variable, as loom knows of those who spin neither when they go on nor that they never do: a
//! wake-up that is lost is a deadlock, which loom reports. The ordering of the handshake itself is checked in `wakeups`.

use std::cell::Cell;
use std::time::Instant;

use loom::sync::{Arc, Condvar, Mutex};
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
    /// Shared, since the parker may be gone as soon as the wait is over.
    thread: Arc<(Mutex<()>, Condvar)>,
}

impl Parker {
    pub(crate) fn new() -> Parker {
        Parker {
            handshake: Handshake::new(false),
            verdict: Cell::new(Verdict::Pending),
            thread: Arc::new((Mutex::new(()), Condvar::new())),
        }
    }

    pub(crate) fn claim(&self) -> bool {
        self.handshake.claim()
    }

    /// Whether the right to end this wait has been taken.
    pub(crate) fn is_claimed(&self) -> bool {
        self.handshake.is_claimed()
    }

    pub(crate) unsafe fn unpark(this: *const Parker, verdict: Verdict) {
        let parker = unsafe { &*this };
        parker.verdict.set(verdict);
        let thread = parker.thread.clone();
        let _guard = thread.0.lock().unwrap();
        parker.handshake.finish_thread();
        thread.1.notify_one();
    }

    /// With a deadline the time is over at any moment: loom decides, by giving way first or not.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> Verdict {
        if deadline.is_some() {
            thread::yield_now();
            if !self.handshake.is_done() && self.claim() {
                return Verdict::TimedOut;
            }
        }
        let mut guard = self.thread.0.lock().unwrap();
        while !self.handshake.is_done() {
            guard = self.thread.1.wait(guard).unwrap();
        }
        drop(guard);
        self.verdict.get()
    }
}

/// Some deadline; which one does not matter here.
pub(crate) fn give_deadline() -> Instant {
    Instant::now()
}
