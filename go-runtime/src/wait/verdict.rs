//! How a wait ends.

/// How a wait has ended, written by the thread that claimed the wait. The number is the waiter's
/// own (the arm of a select).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// The wait has not ended.
    Pending,
    /// What was waited for has happened.
    Done(usize),
    /// What was waited for can no longer happen: the other side is gone.
    Closed(usize),
    /// The partner took its offer back, or an observed channel has changed: try again.
    Retry,
    /// The deadline came first.
    TimedOut,
}
