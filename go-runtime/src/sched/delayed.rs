//! Tasks that are to be queued at a given moment. Until then a task is an entry in a heap, and has
//! no stack.
//!
//! Each worker has such a heap. A goroutine adds a task to the heap of its own worker, and a plain
//! thread to the heap of any worker. Any thread may remove a task, and while a goroutine holds a
//! worker, the monitor queues the tasks that are due in that worker's heap. So the heap has a lock,
//! under which no user code runs. `next` says when the earliest task is due, so that the worker
//! need not take the lock before then.
//!
//! A worker does not oversleep: the thread that adds the earliest task writes `next`, and then
//! checks whether the worker sleeps; the worker announces its sleep, and then reads `next`. Both
//! threads put a full fence in between, so at least one of the two sees the other's write.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_utils::atomic::AtomicCell;
use smallvec::SmallVec;

use super::task::TaskRef;
use super::timer_heap::{TimerHeap, TimerKey};
use super::tuning::TIMERS_AT_A_TIME;
use crate::clock;

/// Value of `next` if no task is delayed.
const NEVER: u64 = u64::MAX;

pub(super) struct Delayed {
    start: Instant,
    /// When the earliest task is due, or some time before that, in nanoseconds since the start.
    /// Written under the lock.
    next: AtomicCell<u64>,
    timers: Mutex<TimerHeap<TaskRef>>,
}

impl Delayed {
    pub(super) fn new() -> Delayed {
        Delayed {
            start: clock::now(),
            next: AtomicCell::new(NEVER),
            timers: Mutex::new(TimerHeap::new()),
        }
    }

    fn timers(&self) -> MutexGuard<'_, TimerHeap<TaskRef>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nanos(&self, when: Instant) -> u64 {
        let since = when.saturating_duration_since(self.start).as_nanos();
        u64::try_from(since).map_or(NEVER - 1, |nanos| nanos.min(NEVER - 1))
    }

    /// Returns whether no task is delayed.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.next.load() == NEVER
    }

    #[inline]
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let next = self.next.load();
        next != NEVER && next <= self.nanos(now)
    }

    /// Returns the time at which the worker has to look for due tasks again.
    pub(super) fn next(&self) -> Option<Instant> {
        let next = self.next.load();
        (next != NEVER).then(|| self.start + Duration::from_nanos(next))
    }

    fn set_next(&self, timers: &mut TimerHeap<TaskRef>) {
        let next = timers.next();
        self.next.store(next.map_or(NEVER, |next| self.nanos(next)));
    }

    /// Adds a task, and returns whether it is the earliest.
    pub(super) fn add(&self, when: Instant, task: TaskRef) -> (TimerKey, bool) {
        let mut timers = self.timers();
        let key = timers.add(when, task);
        let due = self.nanos(when);
        let is_first = due < self.next.load();
        if is_first {
            self.next.store(due);
        }
        (key, is_first)
    }

    /// Removes a task, unless it has been popped.
    pub(super) fn remove(&self, key: TimerKey) -> Option<TaskRef> {
        let mut timers = self.timers();
        let task = timers.remove(key);
        // (If other tasks are left, `next` may now be too early, and the worker then looks once in
        // vain.)
        if timers.is_empty() {
            self.next.store(NEVER);
        }
        task
    }

    /// Takes out some tasks that are due, the latest first. A worker starts the newest task of its
    /// queue first, and so starts the earliest of these.
    pub(super) fn pop_due(&self, now: Instant) -> SmallVec<[TaskRef; TIMERS_AT_A_TIME]> {
        let mut timers = self.timers();
        let mut due: SmallVec<[TaskRef; TIMERS_AT_A_TIME]> = SmallVec::new();
        while due.len() < TIMERS_AT_A_TIME
            && let Some(task) = timers.pop_due(now)
        {
            due.push(task);
        }
        self.set_next(&mut timers);
        due.reverse();
        due
    }

    /// Gives back memory that a larger heap needed.
    pub(super) fn shrink(&self) {
        self.timers().shrink();
    }
}
