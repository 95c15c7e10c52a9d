//! The timers of a worker's parked goroutines. Only the worker's thread uses the timers; other
//! threads can read when the first timer is due ([`Alarm`](crate::sched::shared::Alarm)).
//!
//! Timers are fired a batch at a time. Where very many goroutines sleep, each is cold in the
//! caches, so the worker takes a batch out of the heap and prefetches each entry before it calls
//! the first one. As a rule the goroutines of a batch run before the next batch is fetched, while
//! the caches still hold them.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::time::Instant;

use smallvec::SmallVec;

use crate::sched::fiber::Fiber;
use crate::sched::shared::WorkerShared;
use crate::sched::sleeper::Sleeper;
use crate::sched::timer_heap::{TimerHeap, TimerKey};
use crate::sched::tuning::TIMERS_AT_A_TIME;

pub(super) struct Timers {
    shared: &'static WorkerShared,
    heap: RefCell<TimerHeap<Sleeper>>,
    /// Whether the last call of `fire` left timers that were due.
    left: Cell<bool>,
}

impl Timers {
    pub(super) fn new(shared: &'static WorkerShared) -> Timers {
        Timers {
            shared,
            heap: RefCell::new(TimerHeap::since(shared.alarm.base())),
            left: Cell::new(false),
        }
    }

    /// Adds a timer that calls `sleeper` at `deadline`, unless the timer is removed before.
    ///
    /// # Safety
    /// The sleeper's function may be called on this thread, with the sleeper's address, until the
    /// timer has fired or been removed.
    pub(super) unsafe fn add(&self, deadline: Instant, sleeper: Sleeper) -> TimerKey {
        let mut heap = self.heap.borrow_mut();
        let key = heap.add(deadline, sleeper);
        self.shared.alarm.set(heap.next_nanos());
        key
    }

    pub(super) fn remove(&self, key: TimerKey) {
        let mut heap = self.heap.borrow_mut();
        heap.remove(key);
        self.shared.alarm.set(heap.next_nanos());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap.borrow().is_empty()
    }

    /// Returns when the next timer is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.borrow_mut().next()
    }

    /// Returns whether the last call of `fire` left timers that were due.
    #[inline]
    pub(super) fn are_left(&self) -> bool {
        self.left.get()
    }

    pub(super) fn set_left(&self, left: bool) {
        self.left.set(left);
    }

    /// Fires some of the timers that are due, and gives the goroutines that they wake to
    /// `make_ready`. Returns whether more timers may be due.
    pub(super) fn fire(&self, now: Instant, make_ready: impl Fn(NonNull<Fiber>)) -> bool {
        let mut due: SmallVec<[Sleeper; TIMERS_AT_A_TIME]> = SmallVec::new();
        let mut heap = self.heap.borrow_mut();
        while due.len() < TIMERS_AT_A_TIME
            && let Some(sleeper) = heap.pop_due(now)
        {
            sleeper.prefetch();
            due.push(sleeper);
        }
        self.shared.alarm.set(heap.next_nanos());
        drop(heap);
        let more = due.len() == TIMERS_AT_A_TIME;
        for sleeper in due {
            // SAFETY: the contract of `add` lets the sleeper be called until the timer fires, as it
            // does now, or is removed. No goroutine runs on this worker between `pop_due` and this
            // call, so no goroutine can have removed the timer.
            if let Some(fiber) = unsafe { sleeper.time_out() } {
                make_ready(fiber);
            }
        }
        more
    }

    /// Gives back memory that a larger heap needed.
    pub(super) fn shrink(&self) {
        self.heap.borrow_mut().shrink();
    }
}
