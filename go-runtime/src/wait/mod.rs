//! How something waits.

mod claimed;
mod handshake;
mod parker;
mod queue;
mod unparker;
mod verdict;
mod waiter;
mod wakeup;

pub(crate) use claimed::Claimed;
pub(crate) use parker::Parker;
pub(crate) use queue::WaitQueue;
pub(crate) use verdict::Verdict;
pub(crate) use waiter::{Claim, Offer, Waiter};
pub(crate) use wakeup::Wakeup;
