//! [`Wakeup`]: how the wait of an async task ends. The future and the thread that ends the wait
//! share the wake-up, which lives until both are done with it.
//!
//! The [`Parker`](super::Parker) of a future lies in memory that the future owns. Once the wait has
//! ended the future may be dropped at any moment. So the thread that ends the wait holds an `Arc`
//! of the [`Wakeup`], and does not use the parker after that. If a future is dropped after a thread
//! has claimed its wait, but before that thread has ended the wait, the future leaves behind a
//! closure with what is still to be done, so neither waits for the other.

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
    /// The future is gone; the thread that ends the wait calls this.
    Abandoned(Instead),
    Ended,
}

// SAFETY: all but the abandoned closure is `Send`. The caller of `abandon` vouches that the closure
// may run, and so be sent, wherever the wait may be ended.
unsafe impl Send for Wakeup {}
// SAFETY: the state is used under the mutex only, by one thread at a time, and may be sent there by
// the proof for `Send`.
unsafe impl Sync for Wakeup {}

impl Wakeup {
    pub(crate) fn new(waker: Waker) -> Wakeup {
        Wakeup {
            state: Mutex::new(State::Waiting(waker)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that could panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the wait has ended. If it has not, the task of `waker` will be woken at the
    /// end.
    pub(crate) fn poll(&self, waker: &Waker) -> bool {
        let known = match &*self.lock() {
            State::Ended => return true,
            // (This compares two pointers, and runs no user code.)
            State::Waiting(known) => known.will_wake(waker),
            State::Abandoned(_) => unreachable!("a future that is gone is not polled"),
        };
        if known {
            return false;
        }
        // Wakers are cloned and dropped outside of the lock, because that runs user code.
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

    /// Leaves `instead` to the thread that has claimed the wait of a future that is being dropped:
    /// that thread calls `instead` when it ends the wait. If that thread has already ended the
    /// wait, `instead` is called now.
    ///
    /// # Safety
    /// `instead` may be called on every thread that may end the wait, and what it borrows lives
    /// until the wait is ended. If the wait is never ended, this wake-up is never dropped.
    pub(crate) unsafe fn abandon<'a>(&self, instead: Box<dyn FnOnce() + 'a>) {
        // SAFETY: only the lifetime changes. The caller vouches that what the closure borrows lives
        // until the wait is ended; the closure is called then, at the latest, and is not dropped
        // before.
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

    /// Ends the wait. A panic of the task's waker, or of the abandoned closure, is caught here,
    /// after the panic hook has reported it: the caller may still have to end other waits.
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

/// Leaks the payload of a panic, as the payload's own `Drop` could panic as well.
fn forget(payload: Box<dyn Any + Send>) {
    mem::forget(payload);
}
