//! A worker's sleep, and what it is in for: who may call it, and who counts it.
//!
//! A worker that sleeps is counted among those who can be called for new work ([`Idle`]), unless it
//! has *retired*: then it sleeps for those only who have started on it. The monitor changes its
//! standing at any time, and calls it afterwards; so a worker that has said that it sleeps looks at
//! its standing again, with a full fence in between on both sides: one of the two sees the other's
//! write.

use crossbeam_utils::CachePadded;

use super::idle::Idle;
use super::inbox::{Drained, Inbox, Node, Sleep};
use crate::primitives::atomic::{AtomicBool, Ordering, fence};

pub(crate) struct Rest<P> {
    inbox: CachePadded<Inbox<P>>,
    /// There are enough workers without this one: it runs what has started here, and takes on
    /// nothing new. Written by the monitor.
    retired: AtomicBool,
}

impl<P: Copy> Rest<P> {
    pub(crate) fn new() -> Rest<P> {
        Rest {
            inbox: CachePadded::new(Inbox::new()),
            retired: AtomicBool::new(false),
        }
    }

    // --- for the worker ---

    /// Whether [`drain`](Self::drain) would find something; it may be a moment old.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.inbox.has_mail()
    }

    /// See [`Inbox::drain`].
    pub(crate) fn drain(&self, take: impl FnMut(P)) -> Drained {
        self.inbox.drain(take)
    }

    /// Says that the worker sleeps, counted or not. `false`: it must not, but look around once
    /// more.
    #[must_use]
    pub(crate) fn fall_asleep(&self, idle: &Idle) -> bool {
        let retired = self.is_retired();
        let sleep = if retired {
            Sleep::Uncounted
        } else {
            Sleep::Counted
        };
        if sleep == Sleep::Counted {
            idle.add_sleeper();
        }
        if !self.inbox.fall_asleep(sleep) {
            woken(sleep, idle);
            return false;
        }
        fence(Ordering::SeqCst);
        if self.is_retired() != retired {
            // (If somebody else has woken it meanwhile, it must not sleep either.)
            let _ = self.wake_up(idle);
            return false;
        }
        true
    }

    /// The worker does not want to sleep any more. `false`: somebody else has woken it.
    #[must_use]
    pub(crate) fn wake_up(&self, idle: &Idle) -> bool {
        self.inbox
            .wake_up()
            .map(|sleep| woken(sleep, idle))
            .is_some()
    }

    /// Whether it sleeps.
    pub(crate) fn is_asleep(&self) -> bool {
        self.inbox.is_asleep()
    }

    // --- for others ---

    /// Puts woken goroutines into the inbox. `true`: the worker slept, and the caller has to wake
    /// its thread.
    ///
    /// # Safety
    /// As for [`Inbox::push`].
    #[inline]
    #[must_use]
    pub(crate) unsafe fn push(
        &self,
        last: *const Node<P>,
        first: *const Node<P>,
        idle: &Idle,
    ) -> bool {
        // SAFETY: passed on.
        let slept = unsafe { self.inbox.push(last, first) };
        slept.map(|sleep| woken(sleep, idle)).is_some()
    }

    /// Calls the sleeping worker; who calls has counted it as searching. `true`: it slept, and the
    /// caller has to wake its thread.
    #[must_use]
    pub(crate) fn call(&self, idle: &Idle) -> bool {
        fence(Ordering::SeqCst);
        self.inbox.call().map(|sleep| woken(sleep, idle)).is_some()
    }

    #[inline]
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// For the monitor only, which then [`call`](Self::call)s it.
    pub(crate) fn set_retired(&self, retired: bool) {
        self.retired.store(retired, Ordering::SeqCst);
    }
}

/// For the one, and the only one, who has ended a sleep.
fn woken(sleep: Sleep, idle: &Idle) {
    if sleep == Sleep::Counted {
        idle.remove_sleeper();
    }
}
