//! How the wait of an async task ends: the part that the future and the one who ends the wait
//! share, whichever is gone first.
//!
//! A [`Parker`](super::Parker) of a future lies in memory of the future's own. When its wait has
//! been ended the future may go at once, so whoever ends it holds on to this, by an `Arc`, and no
//! longer to the parker. And a future that goes earlier, when somebody has already claimed the wait
//! but has not ended it, leaves behind what is to be done in its place: nobody has to wait for
//! anybody.

use std::any::Any;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::PoisonError;
use std::task::Waker;

use crate::primitives::lock::{Mutex, MutexGuard};

pub(crate) struct Wakeup {
    state: Mutex<State>,
}

type Instead = Box<dyn FnOnce() + 'static>;

enum State {
    Waiting(Waker),
    /// The future is gone; whoever ends the wait does this.
    Abandoned(Instead),
    Ended,
}

// SAFETY: what is abandoned is all that need not be `Send`: who abandons it vouches for it.
unsafe impl Send for Wakeup {}
// SAFETY: as above; the rest is under the lock.
unsafe impl Sync for Wakeup {}

impl Wakeup {
    pub(crate) fn new(waker: Waker) -> Wakeup {
        Wakeup {
            state: Mutex::new(State::Waiting(waker)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could panic happens under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the wait has ended; if not, the task of `waker` is woken when it does.
    pub(crate) fn poll(&self, waker: &Waker) -> bool {
        let known = match &*self.lock() {
            State::Ended => return true,
            // (A comparison of two pointers; no user's code.)
            State::Waiting(known) => known.will_wake(waker),
            State::Abandoned(_) => unreachable!("a future that is gone is not polled"),
        };
        if known {
            return false;
        }
        // Wakers are cloned and dropped outside of the lock: that is others' code.
        let new = waker.clone();
        let mut state = self.lock();
        if let State::Waiting(known) = &mut *state {
            let old = mem::replace(known, new);
            drop(state);
            drop(old);
            return false;
        }
        true
    }

    /// The future goes, and somebody has claimed its wait: `instead` is done when that one ends it,
    /// or now if it has.
    ///
    /// # Safety
    /// Whoever may end the wait is where `instead` may be run, and what it borrows lives until
    /// then. Nobody else drops it: should the wait never be ended, this wakeup is never dropped
    /// either.
    pub(crate) unsafe fn abandon<'a>(&self, instead: Box<dyn FnOnce() + 'a>) {
        // SAFETY: only the lifetime changes, and the caller vouches for it.
        let instead = unsafe { mem::transmute::<Box<dyn FnOnce() + 'a>, Instead>(instead) };
        let mut state = self.lock();
        if let State::Ended = *state {
            drop(state);
            instead();
        } else {
            let old = mem::replace(&mut *state, State::Abandoned(instead));
            drop(state);
            drop(old);
        }
    }

    /// Ends the wait. A panic of the task's waker, or of what was abandoned, has been reported by
    /// the panic hook, and ends here: others may still have to be woken by the caller.
    pub(crate) fn end(&self) {
        let before = mem::replace(&mut *self.lock(), State::Ended);
        let told = panic::catch_unwind(AssertUnwindSafe(|| match before {
            State::Waiting(waker) => waker.wake(),
            State::Abandoned(instead) => instead(),
            State::Ended => unreachable!("a wait is ended once"),
        }));
        told.unwrap_or_else(forget);
    }
}

/// The payload's own `Drop` could panic as well.
fn forget(payload: Box<dyn Any + Send>) {
    mem::forget(payload);
}
