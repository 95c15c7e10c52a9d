//! Waiting for an event that a deadline or a done channel may forestall: an edge of a descriptor,
//! the end of a group.
//!
//! While a done channel is observed, two waiters share one parker: one in the list's queue, and an
//! [observer](Observable) in the channel's. So one of the two ends the wait, and the other is
//! passed over. The observer is queued before the lock of the list is given back. A list's lock is
//! taken before a channel's, and never the other way round: a channel tells its waiters only after
//! it has given its own lock back.

use std::ptr;
use std::time::Instant;

use super::list::{Decision, WaitList, Waited};
use super::observable::{Look, Observable};
use super::parker::Parker;
use super::verdict::Verdict;
use super::waiter::{Claim, Offer, Waiter};

/// Why a wait for an event has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// The event has happened, as the caller of `wake_one` or `wake_all` says.
    ByEvent,
    /// The done channel had a message, and another receiver has it.
    ByNothing,
    /// The done channel is ready.
    ByDone,
    TimedOut,
}

/// How a wait with a done channel begins.
enum Begun {
    Happened,
    Done,
    /// Both waiters are queued; the clock ends the wait at that moment.
    Queued(Option<Instant>),
}

impl<T> WaitList<T> {
    /// Waits to be woken, for `done` to be ready, or until `limit`. Returns at once if `still` says
    /// that the event is not outstanding. Both closures run under the lock: they must neither block
    /// nor panic. If `done` is ready from the beginning the wait ends by that, whatever else has
    /// happened.
    #[inline]
    pub(crate) fn wait_for_event(
        &self,
        still: impl FnOnce() -> bool,
        limit: impl FnOnce() -> Option<Instant>,
        done: Option<&dyn Observable>,
    ) -> Woken {
        if let Some(done) = done {
            return self.wait_for_event_or(still, limit, done);
        }
        let waited = self.wait(|_| {
            if still() {
                Decision::WaitUntil(limit())
            } else {
                Decision::Go(())
            }
        });
        match waited {
            Waited::Not(()) | Waited::Woken => Woken::ByEvent,
            Waited::TimedOut => Woken::TimedOut,
        }
    }

    fn wait_for_event_or(
        &self,
        still: impl FnOnce() -> bool,
        limit: impl FnOnce() -> Option<Instant>,
        done: &dyn Observable,
    ) -> Woken {
        let parker = Parker::new();
        let observer = Waiter::new(Offer::Message, Claim::Contested);
        observer.set_up(&parker, 0, ptr::null_mut());
        let waiter = Waiter::new(Offer::Message, Claim::Contested);
        waiter.set_up(&parker, 0, ptr::null_mut());
        let begun = self.with(|held| {
            if !still() {
                return Begun::Happened;
            }
            let until = limit();
            // SAFETY: the observer is set up and in no queue. This function returns, and so ends
            // the observer and its parker, only after the channel has told the observer or
            // `stop_observing` has been called below; nothing in between unwinds.
            match unsafe { done.observe(&observer) } {
                Look::Ready => Begun::Done,
                Look::Waits(due) => {
                    // SAFETY: the waiter is set up and in no queue. This function returns only
                    // after the waiter has been taken out: by the thread that has ended the wait,
                    // if the verdict is `Done`, else by `remove` below; nothing in between unwinds.
                    unsafe { held.push(&waiter) };
                    Begun::Queued(until.into_iter().chain(due).min())
                }
            }
        });
        let until = match begun {
            Begun::Done => return Woken::ByDone,
            Begun::Happened if done.is_ready() => return Woken::ByDone,
            Begun::Happened => return Woken::ByEvent,
            Begun::Queued(until) => until,
        };
        let verdict = parker.park(until);
        let by_event = matches!(verdict, Verdict::Done(_));
        if !by_event {
            // SAFETY: this is the only queue that the waiter has been in.
            self.with(|held| unsafe { held.remove(&waiter) });
        }
        // A channel that has told the observer to look again has taken it out.
        if verdict != Verdict::Retry {
            // SAFETY: the observer was queued there, by `observe` above, and nowhere else.
            unsafe { done.stop_observing(&observer) };
        }
        if by_event {
            Woken::ByEvent
        } else if done.is_ready() {
            Woken::ByDone
        } else if verdict == Verdict::TimedOut {
            Woken::TimedOut
        } else {
            Woken::ByNothing
        }
    }
}
