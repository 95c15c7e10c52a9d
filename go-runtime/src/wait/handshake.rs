//! The agreement between one who blocks and those who may wake it: who decides the outcome, and
//! whether a wake-up has to reach the scheduler at all.
//!
//! Two words. `claimed` is taken once, by whoever decides how the wait ends (a sender, a receiver,
//! a close, the clock): of all channels of a select just one gets it. `state` says where the
//! blocked one is: it may spin for a moment, in which case the wake-up is one store that it sees by
//! itself, or it is parked and has to be made runnable.

use crate::primitives::atomic::{AtomicBool, AtomicU8, Ordering};

/// The blocked one is off its thread (or will be, before its worker looks for mail): make it
/// runnable.
const PARKED: u8 = 0;
/// It looks at this word all the time.
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

    /// Takes the right to end this wait. It is given once; who gets it must call
    /// [`finish`](Self::finish) (of a future: end its wakeup).
    #[inline]
    #[must_use]
    pub(crate) fn claim(&self) -> bool {
        // The cheap look first: a claimed wait in a queue is met often (select), and costs no write
        // then.
        !self.claimed.load(Ordering::Relaxed)
            && self
                .claimed
                .compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    /// Whether somebody has that right; it may be a moment old.
    pub(crate) fn is_claimed(&self) -> bool {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Ends the wait, from another thread. `true`: the blocked one is parked, and the caller has to
    /// make it runnable; it stays in place until then. `false`: it goes on by itself, and may be
    /// gone already.
    #[inline]
    #[must_use]
    pub(crate) fn finish(&self) -> bool {
        // A parked one never goes back to spinning, so it needs no exchange; and none may say
        // "done" of it: whoever looks again would go on, and be made runnable as well.
        self.state.load(Ordering::Acquire) == PARKED
            || self
                .state
                .compare_exchange(SPINNING, DONE, Ordering::AcqRel, Ordering::Acquire)
                .is_err()
    }

    /// Ends the wait of a blocked thread, which looks at this word whenever it wakes up. The caller
    /// wakes it, with a handle that it took before: after this call the blocked one may be gone.
    #[inline]
    pub(crate) fn finish_thread(&self) {
        self.state.store(DONE, Ordering::Release);
    }

    /// For the blocked one: whether the wait is over.
    #[inline]
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }

    /// For the blocked one: ends the spinning. `true`: it has to park, and is going to be made
    /// runnable. `false`: the wait is over.
    #[inline]
    #[must_use]
    pub(crate) fn stop_spinning(&self) -> bool {
        self.state
            .compare_exchange(SPINNING, PARKED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// For the blocked one: whether it announced that it spins.
    #[inline]
    #[must_use]
    pub(crate) fn may_spin(&self) -> bool {
        self.state.load(Ordering::Relaxed) != PARKED
    }
}
