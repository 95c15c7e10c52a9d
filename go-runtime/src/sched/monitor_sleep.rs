//! The monitor's sleep: it lasts while all workers sleep, so that an idle process costs nothing,
//! and ends when the first worker wakes up.
//!
//! A worker changes the word of its inbox (or another thread does so for it), and then reads
//! whether the monitor sleeps. The monitor announces its sleep, and then reads the words of all
//! inboxes. Both the worker and the monitor put a full fence in between, so at least one of the two
//! sees the other's write.

use crate::primitives::atomic::{AtomicBool, Ordering, fence};

pub(crate) struct MonitorSleep(AtomicBool);

impl MonitorSleep {
    pub(crate) fn new() -> MonitorSleep {
        MonitorSleep(AtomicBool::new(false))
    }

    /// Ends the monitor's sleep. A thread calls this when it has changed a worker's inbox to say
    /// that the worker no longer sleeps. Returns whether the caller has to wake the monitor's
    /// thread.
    ///
    /// `before` is called if the sleep goes on. Its effects are visible to every thread whose call
    /// of `end` returns, and which may have found the sleep ended.
    #[must_use]
    pub(crate) fn end(&self, before: impl FnOnce()) -> bool {
        fence(Ordering::SeqCst);
        if !self.0.load(Ordering::Acquire) {
            return false;
        }
        before();
        self.0.swap(false, Ordering::AcqRel)
    }

    /// Begins the monitor's sleep, unless a worker is awake. Only the monitor calls this.
    pub(crate) fn begin(&self, all_asleep: impl Fn() -> bool) {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !all_asleep() {
            self.0.store(false, Ordering::Relaxed);
        }
    }

    /// Returns whether the sleep goes on; the monitor's thread may sleep as long as it does.
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
