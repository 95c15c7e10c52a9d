//! The channel of a `time::Timer` or a `time::Ticker`: like [`At`](super::timed::At) and
//! [`Tick`](super::timed::Tick), but the moment of its message may be changed.
//!
//! No timer runs for such a channel: a receiver computes when the message is due and waits until
//! then. The waiting receivers and observers are in a queue, so that a change of the moment wakes
//! them to compute anew. A message is made only when a receiver takes it, so none can be stale
//! after a change. The lock of the [`WaitList`] guards the moment and the queue.

use std::mem;
use std::time::{Duration, Instant};

use super::constructors::bounded;
use super::core::{Received, Timeout};
use super::receiver::Receiver;
use super::sender::Sender;
use super::timed::next_on_grid;
use crate::clock;
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{self, Claimed, Decision, Held, WaitList, WaitReason, Waited};

/// Converts an `Instant` into a message, as in `timed`.
type Make<T> = fn(Instant) -> T;

pub(crate) struct TimerCore<T> {
    moment: WaitList<Moment>,
    make: Make<T>,
}

/// The moment of the next message. The waiters in the list's queue wait for that message, or only
/// for a change of the moment.
pub(crate) struct Moment {
    /// When there will be a message, or `None` for never.
    due: Option<Instant>,
    /// Whether a message is still to come, or to be taken, even if its moment lies beyond all
    /// instants.
    set: bool,
    /// The period of the messages, or `None` if there is only one message.
    period: Option<Duration>,
    /// A channel that is closed at the next change of the moment, to wake futures. It is made when
    /// the first future asks for it.
    change: Option<(Sender<()>, Receiver<()>)>,
}

impl Moment {
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.due.is_some_and(|due| due <= clock::now())
    }

    /// Takes the message that is due, if there is one: returns its moment, and sets the moment of
    /// the next message.
    fn take_due(&mut self) -> Option<Instant> {
        let now = clock::now();
        let due = self.due.filter(|due| *due <= now)?;
        self.due = self
            .period
            .and_then(|period| next_on_grid(due, period, now));
        self.set = self.period.is_some();
        Some(due)
    }
}

impl<T> TimerCore<T> {
    /// Makes a channel with a first message at `due` (`None`: never). `period` must not be 0.
    pub(crate) fn new(
        due: Option<Instant>,
        period: Option<Duration>,
        make: Make<T>,
    ) -> TimerCore<T> {
        TimerCore {
            moment: WaitList::new(Moment {
                due,
                set: true,
                period,
                change: None,
            }),
            make,
        }
    }

    pub(crate) fn raw_lock(&self) -> &RawSpinLock {
        self.moment.raw_lock()
    }

    /// Returns access for a caller that has locked by [`raw_lock`](Self::raw_lock): a select, which
    /// holds several locks, or an observer.
    ///
    /// # Safety
    /// The calling thread holds the lock for as long as the result is in use, and uses no other
    /// access to this timer meanwhile.
    pub(crate) unsafe fn state(&self) -> Held<'_, Moment> {
        // SAFETY: the caller upholds the contract of `held`, which is this function's.
        unsafe { self.moment.held() }
    }

    /// Takes a message that is due, for a caller that holds the lock.
    pub(crate) fn take_from(&self, moment: &mut Moment) -> Option<T> {
        moment.take_due().map(self.make)
    }

    pub(crate) fn try_take(&self) -> Option<T> {
        self.moment.with(|moment| moment.take_due()).map(self.make)
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.moment.with(|moment| moment.due)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.moment.with(|moment| moment.is_ready())
    }

    /// Returns a channel that is closed at the next change of the moment.
    pub(crate) fn change(&self) -> Receiver<()> {
        let mut fresh = Some(bounded(0));
        self.moment
            .with(|moment| {
                if moment.change.is_none() {
                    moment.change = fresh.take();
                }
                // Cloning a receiver only counts a handle: it neither unwinds nor runs user code.
                moment.change.as_ref().map(|(_, change)| change.clone())
            })
            .unwrap_or_else(|| unreachable!("put there if it was not"))
    }

    /// Sets the moment of the next message (`None`: never), and the period of those after it
    /// (`None`: as it was). Returns whether there was a message to come, or to be taken.
    pub(crate) fn reset(&self, due: Option<Instant>, period: Option<Duration>) -> bool {
        self.change_to(true, due, period)
    }

    /// Cancels the next message and those after it. Returns whether there was a message to come, or
    /// to be taken.
    pub(crate) fn stop(&self) -> bool {
        self.change_to(false, None, None)
    }

    fn change_to(&self, set: bool, due: Option<Instant>, period: Option<Duration>) -> bool {
        let mut told = Claimed::new();
        let (was_set, change) = self.moment.with(|moment| {
            moment.due = due;
            moment.period = period.or(moment.period);
            moment.take_all_into(&mut told);
            (mem::replace(&mut moment.set, set), moment.change.take())
        });
        told.retry();
        drop(change);
        was_set
    }

    pub(crate) fn receive(&self, timeout: Timeout) -> Received<T> {
        let ends = timeout.deadline();
        loop {
            let waited = self.moment.wait(WaitReason::ChanReceive, |moment| {
                if let Some(due) = moment.take_due() {
                    return Decision::Go(TimerPoll::Taken(due));
                }
                if let Timeout::Poll = timeout {
                    return Decision::Go(TimerPoll::Empty);
                }
                if ends.is_some_and(|end| end <= clock::now()) {
                    return Decision::Go(TimerPoll::TimedOut);
                }
                Decision::WaitUntil([moment.due, ends].into_iter().flatten().min())
            });
            match waited {
                Waited::Not(TimerPoll::Taken(due)) => return Received::Message((self.make)(due)),
                Waited::Not(TimerPoll::Empty) => return Received::Empty,
                Waited::Not(TimerPoll::TimedOut) => {
                    wait::note_failed_poll();
                    return Received::TimedOut;
                }
                // The moment has changed, or has come.
                Waited::Woken | Waited::TimedOut => {}
            }
        }
    }
}

enum TimerPoll {
    Taken(Instant),
    Empty,
    TimedOut,
}
