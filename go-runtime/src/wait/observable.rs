//! [`Observable`]: a second event that may end a wait, as a rule a done channel that becomes ready.

use std::time::Instant;

use super::waiter::Waiter;

/// A channel whose readiness a wait can observe without receiving from it. It is ready when a
/// receive need not wait.
///
/// No method parks, panics or wakes anything: a wait list calls them under its own lock.
///
/// # Safety
/// A waiter that [`observe`](Self::observe) has queued is used only until it has been told, or
/// until [`stop_observing`](Self::stop_observing) has returned.
pub(crate) unsafe trait Observable {
    /// Returns whether a receive need not wait.
    fn is_ready(&self) -> bool;

    /// Queues `waiter`, unless a receive need not wait. A queued waiter is told to check again once
    /// a receive need not wait.
    ///
    /// # Safety
    /// The waiter is set up, and in no queue. Before it or its parker ends, the waiter has been
    /// told, or [`stop_observing`](Self::stop_observing) is called.
    unsafe fn observe(&self, waiter: &Waiter) -> Readiness;

    /// Takes the waiter out of the channel's queue, if the waiter is still in it.
    ///
    /// # Safety
    /// If the waiter is in a queue, it is in this one.
    unsafe fn stop_observing(&self, waiter: &Waiter);
}

/// The result of [`Observable::observe`].
pub(crate) enum Readiness {
    /// A receive need not wait; the waiter is not queued.
    Ready,
    /// The waiter is queued. At the given moment, if there is one, the operation has to check again
    /// even if its waiter has not been told.
    Waits(Option<Instant>),
}
