//! A worker's sleep state, and whether the worker has retired.
//!
//! A sleeping worker is counted among the sleepers that can be notified of new work ([`Idle`]),
//! unless the worker has *retired*: then only goroutines that have started on it wake it. The
//! monitor may change `retired` at any time, and notifies the worker afterwards; a worker that has
//! announced its sleep reads `retired` again. Both the monitor and the worker have a full fence
//! between their write and their read, so at least one of the two sees the other's write.

use crossbeam_utils::CachePadded;

use super::idle::Idle;
use super::inbox::{Drained, Inbox, Node, Sleep};
use crate::primitives::atomic::{AtomicBool, Ordering, fence};

pub(crate) struct SleepState<P> {
    inbox: CachePadded<Inbox<P>>,
    /// Whether the worker has retired: it runs the goroutines that have started on it, and accepts
    /// no new ones. Written by the monitor.
    retired: AtomicBool,
}

impl<P: Copy> SleepState<P> {
    pub(crate) fn new() -> SleepState<P> {
        SleepState {
            inbox: CachePadded::new(Inbox::new()),
            retired: AtomicBool::new(false),
        }
    }

    // --- for the worker ---

    /// Returns whether [`drain`](Self::drain) would find something; the answer may be a moment old.
    #[inline]
    pub(crate) fn inbox_nonempty(&self) -> bool {
        self.inbox.is_nonempty()
    }

    /// See [`Inbox::drain`].
    pub(crate) fn drain(&self, take: impl FnMut(P)) -> Drained {
        self.inbox.drain(take)
    }

    /// Announces that the worker sleeps, and counts it as a sleeper unless it has retired. Returns
    /// whether the worker may sleep: if not, it has to search once more.
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
            // The worker must not sleep, whether this thread or another one ends its announced
            // sleep.
            let _ = self.wake_up(idle);
            return false;
        }
        true
    }

    /// Ends the worker's own sleep. Returns `false` if another thread had already ended it.
    #[must_use]
    pub(crate) fn wake_up(&self, idle: &Idle) -> bool {
        self.inbox
            .wake_up()
            .map(|sleep| woken(sleep, idle))
            .is_some()
    }

    /// Returns whether the worker sleeps.
    pub(crate) fn is_asleep(&self) -> bool {
        self.inbox.is_asleep()
    }

    // --- for others ---

    /// Puts woken goroutines into the inbox. Returns whether the worker was asleep: then the caller
    /// has to wake the worker's thread.
    ///
    /// # Safety
    /// The caller upholds the contract of [`Inbox::push`].
    #[inline]
    #[must_use]
    pub(crate) unsafe fn push(
        &self,
        last: *const Node<P>,
        first: *const Node<P>,
        idle: &Idle,
    ) -> bool {
        // SAFETY: the caller upholds the contract of `Inbox::push`, which is this function's.
        let slept = unsafe { self.inbox.push(last, first) };
        slept.map(|sleep| woken(sleep, idle)).is_some()
    }

    /// Notifies the sleeping worker that it should search for work; the caller has counted it as
    /// searching. Returns whether the worker was asleep: then the caller has to wake the worker's
    /// thread.
    #[must_use]
    pub(crate) fn notify(&self, idle: &Idle) -> bool {
        fence(Ordering::SeqCst);
        self.inbox
            .notify()
            .map(|sleep| woken(sleep, idle))
            .is_some()
    }

    #[inline]
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Sets whether the worker has retired. Only the monitor may call this, and it has to
    /// [`notify`](Self::notify) the worker afterwards.
    pub(crate) fn set_retired(&self, retired: bool) {
        self.retired.store(retired, Ordering::SeqCst);
    }
}

/// Takes the worker out of the sleepers' count, if it was counted. Only the thread that ended the
/// sleep calls this, once.
fn woken(sleep: Sleep, idle: &Idle) {
    if sleep == Sleep::Counted {
        idle.remove_sleeper();
    }
}
