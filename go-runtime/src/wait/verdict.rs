//! The outcome of a wait.

/// The outcome of a wait, written by the thread that claimed the wait. The number identifies the
/// waiter (the arm of a select).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// The wait has not ended.
    Pending,
    /// The awaited event has happened.
    Done(usize),
    /// The awaited event can no longer happen, because the other side is gone.
    Closed(usize),
    /// The partner made no message, or an observed channel has changed: the operation tries again.
    Retry,
    /// The deadline came first.
    TimedOut,
}
