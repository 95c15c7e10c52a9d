//! The agreement between a blocked operation and the threads that may end its wait: it decides
//! which thread determines the outcome, and whether the wake-up has to go through the scheduler.
//!
//! It has two words. `claimed` is set once, by the thread that decides how the wait ends: the
//! partner's, one that closes the channel, or the worker that keeps the time. So only one channel
//! of a select gets the claim. `state` says where the blocked operation is. An operation may spin
//! for a moment: then the wake-up is one store, which the operation sees by itself. Or it is
//! parked, and the waker has to make it runnable.
//!
//! ```text
//!            finish                       finish, by the waker
//!  PARKED ----------> PARKED    SPINNING ----------------------> DONE
//!         (the waker makes          |
//!          it runnable)             | stop_spinning, by the blocked operation
//!                                   v
//!                                PARKED
//! ```

use crate::primitives::atomic::{AtomicBool, AtomicU8, Ordering};

/// The blocked operation has left its thread, or will leave it before its worker reads the inbox.
/// The waker has to make the operation runnable.
const PARKED: u8 = 0;
/// The blocked operation polls this word.
const SPINNING: u8 = 1;
/// The wait is over.
const DONE: u8 = 2;

pub(crate) struct Handshake {
    claimed: AtomicBool,
    state: AtomicU8,
}

impl Handshake {
    pub(crate) fn new(spinning: bool) -> Self {
        Handshake {
            claimed: AtomicBool::new(false),
            state: AtomicU8::new(if spinning { SPINNING } else { PARKED }),
        }
    }

    /// Takes the right to end this wait, and returns whether the caller has got it. Only one caller
    /// gets the right, and it must then call [`finish`](Self::finish) (for a future, end its
    /// wake-up).
    #[inline]
    #[must_use]
    pub(crate) fn claim(&self) -> bool {
        // The load comes first because a queue often holds waits of selects that are already
        // claimed, and a load leaves their cache lines shared.
        !self.claimed.load(Ordering::Relaxed)
            && self
                .claimed
                .compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    /// Returns whether any thread has claimed the wait. The answer may be a moment old.
    pub(crate) fn is_claimed(&self) -> bool {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Ends the wait, from another thread. Returns whether the blocked operation is parked: then
    /// the caller has to make the operation runnable, and the operation stays in place until then.
    /// An operation that is not parked goes on by itself, and this handshake may be gone.
    #[inline]
    #[must_use]
    pub(crate) fn finish(&self) -> bool {
        // A parked operation never goes back to spinning, so it needs no exchange. Nor may `DONE`
        // be stored for a parked operation, which could then both see `DONE` and be made runnable.
        self.state.load(Ordering::Acquire) == PARKED
            || self
                .state
                .compare_exchange(SPINNING, DONE, Ordering::AcqRel, Ordering::Acquire)
                .is_err()
    }

    /// Ends the wait of a blocked thread, which reads this word whenever it wakes up. The caller
    /// wakes the thread, with a handle cloned before this call: afterwards the blocked operation,
    /// and this handshake with it, may be gone.
    #[inline]
    pub(crate) fn finish_thread(&self) {
        self.state.store(DONE, Ordering::Release);
    }

    /// Returns whether the wait is over. Only the blocked operation calls this.
    #[inline]
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }

    /// Ends the spinning. Returns whether the operation has to park, and so will be made runnable;
    /// if not, the wait is over. Only the blocked operation calls this.
    #[inline]
    #[must_use]
    pub(crate) fn stop_spinning(&self) -> bool {
        self.state
            .compare_exchange(SPINNING, PARKED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Returns whether the operation has announced that it spins. Only the blocked operation calls
    /// this.
    #[inline]
    #[must_use]
    pub(crate) fn may_spin(&self) -> bool {
        self.state.load(Ordering::Relaxed) != PARKED
    }
}
