//! The channel of a `time::Timer` or a `time::Ticker`: as [`At`](super::timed::At) and
//! [`Tick`](super::timed::Tick), but its moment may be changed.
//!
//! It keeps no timer running either: who receives computes when the message is due and waits until
//! then. Who waits is in a queue, so that a change of the moment has it look again. There is no
//! message before somebody takes it, so none can be stale after a change.

use std::cell::UnsafeCell;
use std::mem;
use std::time::{Duration, Instant};

use super::constructors::bounded;
use super::core::{Patience, Received};
use super::receiver::Receiver;
use super::sender::Sender;
use super::timed::next_on_grid;
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{Claim, Claimed, Offer, Parker, Verdict, WaitQueue, Waiter};
use crate::{clock, goroutine};

/// See `timed`.
type Make<T> = fn(Instant) -> T;

pub(crate) struct TimerCore<T> {
    lock: RawSpinLock,
    state: UnsafeCell<State>,
    make: Make<T>,
}

pub(crate) struct State {
    /// When there will be a message; `None` for never.
    due: Option<Instant>,
    /// Whether a message is still to come, or to be taken, even if its moment lies beyond all
    /// instants.
    set: bool,
    /// How long after one message the next is due, if there is a next.
    period: Option<Duration>,
    /// Who waits for the message, or only for a change.
    waiting: WaitQueue,
    /// Closed, and so seen by futures, at the next change; if any has asked.
    change: Option<(Sender<()>, Receiver<()>)>,
}

// SAFETY: the state is used under the lock only. A `T` is made by who takes it.
unsafe impl<T> Sync for TimerCore<T> {}
// SAFETY: as above; who waits borrows it, so it is not moved then.
unsafe impl<T> Send for TimerCore<T> {}

impl State {
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.due.is_some_and(|due| due <= clock::now())
    }

    /// The moment of a message that is due, and the next one's is set.
    fn take(&mut self) -> Option<Instant> {
        let now = clock::now();
        let due = self.due.filter(|due| *due <= now)?;
        self.due = self
            .period
            .and_then(|period| next_on_grid(due, period, now));
        self.set = self.period.is_some();
        Some(due)
    }

    /// # Safety
    /// The waiter is taken out under the lock before it goes.
    pub(crate) unsafe fn enqueue(&mut self, waiter: &Waiter) {
        // SAFETY: passed on.
        unsafe { self.waiting.push(waiter) };
    }

    /// # Safety
    /// If the waiter is in a queue, it is in this one.
    pub(crate) unsafe fn dequeue(&mut self, waiter: &Waiter) {
        // SAFETY: passed on.
        unsafe { self.waiting.remove(waiter) };
    }
}

impl<T> TimerCore<T> {
    /// `period` is not 0.
    pub(crate) fn new(
        due: Option<Instant>,
        period: Option<Duration>,
        make: Make<T>,
    ) -> TimerCore<T> {
        TimerCore {
            lock: RawSpinLock::new(),
            state: UnsafeCell::new(State {
                due,
                set: true,
                period,
                waiting: WaitQueue::new(),
                change: None,
            }),
            make,
        }
    }

    pub(crate) fn raw_lock(&self) -> &RawSpinLock {
        &self.lock
    }

    /// Access for those who lock by [`raw_lock`](Self::raw_lock): selects, which hold several, and
    /// observers.
    ///
    /// # Safety
    /// The calling thread holds the lock, and no other reference to the state is in use.
    #[expect(clippy::mut_from_ref, reason = "the lock gives the exclusive access")]
    pub(crate) unsafe fn state(&self) -> &mut State {
        // SAFETY: the lock is held.
        unsafe { &mut *self.state.get() }
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        self.lock.lock();
        // SAFETY: the lock is held, and what is run here (by this file only) does not unwind.
        let result = f(unsafe { &mut *self.state.get() });
        // SAFETY: locked above, and the state is not used any more.
        unsafe { self.lock.unlock() };
        result
    }

    /// Under the lock.
    pub(crate) fn take_from(&self, state: &mut State) -> Option<T> {
        state.take().map(self.make)
    }

    pub(crate) fn try_take(&self) -> Option<T> {
        self.with(|state| state.take()).map(self.make)
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.with(|state| state.due)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.with(|state| state.is_ready())
    }

    /// A channel that is closed when the moment is changed from now on.
    pub(crate) fn change(&self) -> Receiver<()> {
        let mut fresh = Some(bounded(0));
        self.with(|state| {
            if state.change.is_none() {
                state.change = fresh.take();
            }
            // Counting a handle: it neither unwinds nor runs anybody's code.
            state.change.as_ref().map(|(_, change)| change.clone())
        })
        .unwrap_or_else(|| unreachable!("put there if it was not"))
    }

    /// Sets the moment of the next message (`None`: never), and the period of those after it
    /// (`None`: as it was). Returns whether there was a message to come, or to be taken.
    pub(crate) fn reset(&self, due: Option<Instant>, period: Option<Duration>) -> bool {
        self.change_to(true, due, period)
    }

    /// Calls the next message off, and those after it. Returns as [`reset`](Self::reset) does.
    pub(crate) fn stop(&self) -> bool {
        self.change_to(false, None, None)
    }

    fn change_to(&self, set: bool, due: Option<Instant>, period: Option<Duration>) -> bool {
        let mut told = Claimed::new();
        let (was_set, change) = self.with(|state| {
            state.due = due;
            state.period = period.or(state.period);
            state.waiting.take_all_into(&mut told);
            (mem::replace(&mut state.set, set), state.change.take())
        });
        told.look_again();
        drop(change);
        was_set
    }

    pub(crate) fn receive(&self, patience: Patience) -> Received<T> {
        loop {
            let waiter = Waiter::new(Offer::Message, Claim::Contested);
            let parker = Parker::new();
            waiter.set_up(&parker, 0, std::ptr::null_mut());
            let ends = patience.deadline();
            let look = self.with(|state| {
                if let Some(taken) = state.take() {
                    return Look::Taken(taken);
                }
                if let Patience::None = patience {
                    return Look::Empty;
                }
                if ends.is_some_and(|end| end <= clock::now()) {
                    return Look::TimedOut;
                }
                // SAFETY: taken out below, or by who has told us to look again, before this turn of
                // the loop ends.
                unsafe { state.enqueue(&waiter) };
                Look::Until([state.due, ends].into_iter().flatten().min())
            });
            match look {
                Look::Taken(due) => return Received::Message((self.make)(due)),
                Look::Empty => return Received::Empty,
                Look::TimedOut => {
                    goroutine::polled_in_vain();
                    return Received::TimedOut;
                }
                Look::Until(until) => {
                    if parker.park(until) == Verdict::TimedOut {
                        // SAFETY: it was queued here.
                        self.with(|state| unsafe { state.dequeue(&waiter) });
                    }
                }
            }
        }
    }
}

enum Look {
    Taken(Instant),
    Empty,
    TimedOut,
    Until(Option<Instant>),
}
