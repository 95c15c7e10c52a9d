//! The timers of a worker's parked goroutines. Only the worker's thread uses them; other threads
//! see when the first is due ([`Alarm`](crate::sched::shared::Alarm)).

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::time::Instant;

use smallvec::SmallVec;

use crate::primitives::prefetch::prefetch;
use crate::sched::fiber::Fiber;
use crate::sched::parker::Parker;
use crate::sched::shared::WorkerShared;
use crate::sched::timer_heap::{TimerHeap, TimerKey};
use crate::sched::tuning::TIMERS_AT_A_TIME;

/// A parker on the stack of a goroutine of this worker, which removes the timer before the parker
/// goes.
type Sleeper = NonNull<Parker>;

pub(super) struct Timers {
    shared: &'static WorkerShared,
    heap: RefCell<TimerHeap<Sleeper>>,
    /// Whether more timers were due than have been fired the last time.
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

    /// # Safety
    /// The parker stays where it is until the timer has fired or been removed.
    pub(super) unsafe fn add(&self, deadline: Instant, parker: &Parker) -> TimerKey {
        let mut heap = self.heap.borrow_mut();
        let key = heap.add(deadline, NonNull::from(parker));
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

    /// Returns whether more timers were due than have been fired the last time.
    #[inline]
    pub(super) fn are_left(&self) -> bool {
        self.left.get()
    }

    pub(super) fn set_left(&self, left: bool) {
        self.left.set(left);
    }

    /// Fires some of the timers that are due, and gives the goroutines that they wake to
    /// `make_ready`. Returns whether there may be more.
    pub(super) fn fire(&self, now: Instant, make_ready: impl Fn(NonNull<Fiber>)) -> bool {
        let mut due: SmallVec<[Sleeper; TIMERS_AT_A_TIME]> = SmallVec::new();
        let mut heap = self.heap.borrow_mut();
        while due.len() < TIMERS_AT_A_TIME
            && let Some(parker) = heap.pop_due(now)
        {
            let start = parker.as_ptr().cast::<u8>();
            prefetch(start);
            prefetch(start.wrapping_add(size_of::<Parker>() - 1));
            due.push(parker);
        }
        self.shared.alarm.set(heap.next_nanos());
        drop(heap);
        let more = due.len() == TIMERS_AT_A_TIME;
        for parker in due {
            // SAFETY: by the contract of `add` the parker stays until the goroutine removes the
            // timer, which it does after it has been resumed; so it is parked, on this worker.
            if let Some(fiber) = unsafe { parker.as_ref().time_out() } {
                make_ready(fiber);
            }
        }
        more
    }

    /// Gives memory back that more timers have left.
    pub(super) fn shrink(&self) {
        self.heap.borrow_mut().shrink();
    }
}
