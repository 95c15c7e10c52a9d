//! Waiting for an event, such as an edge of a descriptor or the end of a group, until a deadline
//! has passed or a done channel is ready.
//!
//! While a done channel is observed, two waiters share one parker: one in the list's queue, and an
//! [observer](Observable) in the channel's. So the wait ends through one of the two waiters, and
//! the other one is passed over. The observer is queued before the lock of the list is given back.
//! A list's lock is taken before a channel's, and never the other way round: a channel tells its
//! waiters only after it has given its own lock back.

use std::ptr;
use std::time::Instant;

use super::list::{Decision, WaitList, Waited};
use super::observable::{Observable, Readiness};
use super::parker::Parker;
use super::reason::{WaitReason, Why};
use super::verdict::Verdict;
use super::waiter::{Claim, Offer, Waiter};

/// Why a wait for an event has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// The event has happened, as the caller of `wake_one` or `wake_all` says.
    ByEvent,
    /// The done channel had a message, but another receiver took it.
    ByNothing,
    /// The done channel is ready.
    ByDone,
    TimedOut,
}

/// The beginning of a wait with a done channel.
enum Begun {
    Happened,
    Done,
    /// Both waiters are queued, and the clock ends the wait at that moment.
    Queued(Option<Instant>),
}

impl<T> WaitList<T> {
    /// Waits until a waker ends the wait, `done` is ready, or the moment that `limit` returns has
    /// come. Returns at once if `still` returns `false`, because the event has happened
    /// already. Both closures run under the lock: they must neither block nor panic. If `done` is
    /// ready from the beginning, the wait ends for that reason, even if the event has happened.
    #[inline]
    pub(crate) fn wait_for_event(
        &self,
        reason: WaitReason,
        still: impl FnOnce() -> bool,
        limit: impl FnOnce() -> Option<Instant>,
        done: Option<&dyn Observable>,
    ) -> Woken {
        if let Some(done) = done {
            return self.wait_for_event_or(reason, still, limit, done);
        }
        let waited = self.wait(reason, |_| {
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
        reason: WaitReason,
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
                Readiness::Ready => Begun::Done,
                Readiness::Waits(due) => {
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
        parker.note(Why::new(reason, self).open());
        let verdict = parker.park(until);
        let by_event = matches!(verdict, Verdict::Done(_));
        if !by_event {
            // SAFETY: this is the only queue that the waiter has been in.
            self.with(|held| unsafe { held.remove(&waiter) });
        }
        // If the channel has told the observer to check again, it has also taken the observer out.
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
