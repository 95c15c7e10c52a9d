//! How the monitor sleeps while all workers do, so that an idle process costs nothing, and is there
//! again when the first gets up.
//!
//! A worker changes the word of its inbox (or another thread does for it), and then looks whether
//! the monitor naps. The monitor says that it naps, and then looks at all the words. Both put a
//! full fence in between, so at least one of the two sees the other's write.

use crate::primitives::atomic::{AtomicBool, Ordering, fence};

pub(crate) struct MonitorSleep(AtomicBool);

impl MonitorSleep {
    pub(crate) fn new() -> MonitorSleep {
        MonitorSleep(AtomicBool::new(false))
    }

    /// For a worker whose inbox does not say any more that it sleeps. `true`: the caller has to
    /// wake the monitor's thread.
    #[must_use]
    pub(crate) fn end(&self) -> bool {
        fence(Ordering::SeqCst);
        self.is_on() && self.0.swap(false, Ordering::Relaxed)
    }

    /// For the monitor: begins a nap, unless somebody is awake.
    pub(crate) fn begin(&self, all_asleep: impl Fn() -> bool) {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !all_asleep() {
            self.0.store(false, Ordering::Relaxed);
        }
    }

    /// Whether the nap goes on; the monitor's thread may sleep as long as it does.
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
