//! How a thread waits for another one that is certain to be quick: it spins, then gives way to the system.
//! Kept apart from `crossbeam_utils::Backoff` only so that the model checker can put its own yield here.

pub(crate) use crossbeam_utils::Backoff;
