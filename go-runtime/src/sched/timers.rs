//! A worker's timers: the parked goroutines with a deadline, in order of time.
//!
//! Only the worker touches them. An entry points at a parker on the stack of a goroutine of the same worker, and is
//! taken out by that goroutine before the parker goes, so nothing is left behind by waits that end early.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::time::Instant;

use super::parker::Parker;

/// Names an entry. Two timers of one instant differ in the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey(Instant, u64);

#[derive(Default)]
pub(super) struct Timers {
    by_time: BTreeMap<TimerKey, NonNull<Parker>>,
    count: u64,
}

impl Timers {
    pub(super) fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first_key_value().map(|(key, _)| key.0)
    }

    pub(super) fn add(&mut self, deadline: Instant, parker: &Parker) -> TimerKey {
        self.count += 1;
        let key = TimerKey(deadline, self.count);
        self.by_time.insert(key, NonNull::from(parker));
        key
    }

    pub(super) fn remove(&mut self, key: TimerKey) {
        self.by_time.remove(&key);
    }

    /// Takes out the next one, if it is due at `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<NonNull<Parker>> {
        let first = self.by_time.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}
