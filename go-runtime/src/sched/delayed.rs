//! Goroutines that are to be queued at a moment. Until then one is a task and an entry in a heap:
//! no stack, no turn.
//!
//! Each worker's seat has a heap. Goroutines add to that of their own worker, threads to that of
//! any; anybody may call off what is in it, and the monitor queues what is due in that of a worker
//! that a goroutine holds. So there is a lock, and nobody's code runs under it. `next` says when
//! the earliest is due, which saves a worker the lock while nothing is.
//!
//! Why a worker does not oversleep: who adds the earliest writes `next` and then looks whether the
//! worker sleeps; a worker says that it sleeps and then reads `next`. Both have a full fence in
//! between.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_utils::atomic::AtomicCell;
use smallvec::SmallVec;

use super::runtime::Runtime;
use super::seat::Seat;
use super::task::TaskRef;
use super::timers::{TimerKey, Timers};
use super::worker::Worker;
use crate::clock;
use crate::primitives::atomic::{Ordering, fence};
use crate::primitives::random;

/// So many are queued at a time, before others have their turn.
const AT_A_TIME: usize = 16;

/// Nothing is to come.
const NEVER: u64 = u64::MAX;

pub(super) struct Delayed {
    start: Instant,
    /// Nanoseconds from the start to when the earliest is due, or some time before: it is put right
    /// by who holds the lock.
    next: AtomicCell<u64>,
    timers: Mutex<Timers<TaskRef>>,
}

/// Names one that waits for its moment.
#[derive(Clone, Copy)]
pub(crate) struct DelayedKey {
    seat: &'static Seat,
    key: TimerKey,
}

impl Delayed {
    pub(super) fn new() -> Delayed {
        Delayed {
            start: clock::now(),
            next: AtomicCell::new(NEVER),
            timers: Mutex::new(Timers::new()),
        }
    }

    fn timers(&self) -> MutexGuard<'_, Timers<TaskRef>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nanos(&self, when: Instant) -> u64 {
        let since = when.saturating_duration_since(self.start).as_nanos();
        u64::try_from(since).map_or(NEVER - 1, |nanos| nanos.min(NEVER - 1))
    }

    /// Whether anything is to come.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.next.load() == NEVER
    }

    #[inline]
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let next = self.next.load();
        next != NEVER && next <= self.nanos(now)
    }

    /// When the worker has to look next.
    pub(super) fn next(&self) -> Option<Instant> {
        let next = self.next.load();
        (next != NEVER).then(|| self.start + Duration::from_nanos(next))
    }

    fn set_next(&self, timers: &mut Timers<TaskRef>) {
        let next = timers.next();
        self.next.store(next.map_or(NEVER, |next| self.nanos(next)));
    }

    /// `true`: it is the earliest.
    fn add(&self, when: Instant, task: TaskRef) -> (TimerKey, bool) {
        let mut timers = self.timers();
        let key = timers.add(when, task);
        let due = self.nanos(when);
        let is_first = due < self.next.load();
        if is_first {
            self.next.store(due);
        }
        (key, is_first)
    }

    fn remove(&self, key: TimerKey) -> Option<TaskRef> {
        let mut timers = self.timers();
        let task = timers.remove(key);
        // (That of another one, earlier than need be, costs the worker a look.)
        if timers.is_empty() {
            self.next.store(NEVER);
        }
        task
    }

    /// Takes some out that are due, the latest first.
    fn pop_due(&self, now: Instant) -> SmallVec<[TaskRef; AT_A_TIME]> {
        let mut timers = self.timers();
        let mut due: SmallVec<[TaskRef; AT_A_TIME]> = SmallVec::new();
        while due.len() < AT_A_TIME
            && let Some(task) = timers.pop_due(now)
        {
            due.push(task);
        }
        self.set_next(&mut timers);
        due.reverse();
        due
    }

    /// Gives memory back that more of them have left.
    pub(super) fn shrink(&self) {
        self.timers().shrink();
    }
}

impl Runtime {
    /// Has a new goroutine queued at `when`, unless it is called off before.
    pub(crate) fn spawn_at(&'static self, task: TaskRef, when: Instant) -> DelayedKey {
        let own = Worker::current().map(Worker::seat);
        let seat = own
            .or_else(|| self.seat(random::below(self.workers())))
            .unwrap_or_else(|| unreachable!("there are so many workers"));
        let (key, is_first) = seat.delayed.add(when, task);
        if is_first && own.is_none() {
            fence(Ordering::SeqCst);
            if seat.rest.is_asleep() {
                self.call(seat);
            }
        }
        DelayedKey { seat, key }
    }

    /// Gives a goroutine back that has not been queued yet.
    pub(crate) fn call_off(delayed: DelayedKey) -> Option<TaskRef> {
        delayed.seat.delayed.remove(delayed.key)
    }

    /// Queues some of those that are due with that worker; there may be more.
    pub(super) fn queue_due(&self, seat: &Seat, now: Instant) {
        // Who takes the youngest first begins with the earliest.
        for task in seat.delayed.pop_due(now) {
            self.spawn(task);
        }
    }
}
