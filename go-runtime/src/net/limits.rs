//! Time limits of the operations of one direction: a timeout for each, and a deadline for all of
//! them. Both are atomics, which any thread may set. They are limits of a wait and not of the
//! socket: a timer exists only while a goroutine waits.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock;

/// The origin of the stored deadlines.
static START: LazyLock<Instant> = LazyLock::new(clock::now);

const NONE: u64 = u64::MAX;

pub(super) struct Limits {
    /// The timeout in nanoseconds, or `NONE`.
    timeout: AtomicU64,
    /// The deadline in nanoseconds after `START`, or `NONE`. It is 0 for all moments before
    /// `START`.
    deadline: AtomicU64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            timeout: AtomicU64::new(NONE),
            deadline: AtomicU64::new(NONE),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).map_or(NONE - 1, |nanos| nanos.min(NONE - 1))
}

impl Limits {
    pub(super) fn timeout(&self) -> Option<Duration> {
        match self.timeout.load(Ordering::Relaxed) {
            NONE => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    pub(super) fn set_timeout(&self, timeout: Option<Duration>) {
        self.timeout
            .store(timeout.map_or(NONE, nanos), Ordering::Relaxed);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.deadline.load(Ordering::SeqCst) {
            NONE => None,
            nanos => START.checked_add(Duration::from_nanos(nanos)),
        }
    }

    /// Sets the deadline. The caller wakes the waiters, so that they read it again.
    pub(super) fn set_deadline(&self, deadline: Option<Instant>) {
        let after_start = |deadline: Instant| nanos(deadline.saturating_duration_since(*START));
        self.deadline
            .store(deadline.map_or(NONE, after_start), Ordering::SeqCst);
    }

    /// Returns whether the deadline has passed.
    pub(super) fn is_over(&self) -> bool {
        self.deadline()
            .is_some_and(|deadline| deadline <= clock::now())
    }
}
