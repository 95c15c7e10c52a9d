//! How something waits, with a parker for loom's threads in place of the runtime's.

#[path = "../../../go-runtime/src/wait/claimed.rs"]
mod claimed;
#[path = "../../../go-runtime/src/wait/handshake.rs"]
pub(crate) mod handshake;
#[path = "parker.rs"]
mod parker;
#[path = "../../../go-runtime/src/wait/queue.rs"]
mod queue;
#[path = "unparker.rs"]
mod unparker;
#[path = "../../../go-runtime/src/wait/verdict.rs"]
mod verdict;
#[path = "../../../go-runtime/src/wait/waiter.rs"]
mod waiter;
#[path = "../../../go-runtime/src/wait/wakeup.rs"]
mod wakeup;

pub(crate) use claimed::Claimed;
pub(crate) use parker::Parker;
pub(crate) use queue::WaitQueue;
pub(crate) use verdict::Verdict;
pub(crate) use waiter::{Claim, Offer, Waiter};
pub(crate) use wakeup::Wakeup;
