//! The wait protocols, with the stand-in parker on loom's threads in place of the runtime's.

#[path = "../../../go-runtime/src/wait/claimed.rs"]
mod claimed;
#[path = "../../../go-runtime/src/wait/edges.rs"]
pub(crate) mod edges;
#[path = "../../../go-runtime/src/wait/event.rs"]
mod event;
#[path = "../../../go-runtime/src/wait/handshake.rs"]
pub(crate) mod handshake;
#[path = "../../../go-runtime/src/wait/list.rs"]
mod list;
#[path = "../../../go-runtime/src/wait/observable.rs"]
mod observable;
#[path = "parker.rs"]
mod parker;
#[path = "../../../go-runtime/src/wait/queue.rs"]
mod queue;
#[path = "../../../go-runtime/src/wait/reason.rs"]
mod reason;
#[path = "../../../go-runtime/src/wait/taken.rs"]
mod taken;
#[path = "unparker.rs"]
mod unparker;
#[path = "../../../go-runtime/src/wait/verdict.rs"]
mod verdict;
#[path = "../../../go-runtime/src/wait/waiter.rs"]
mod waiter;
#[path = "../../../go-runtime/src/wait/wakeup.rs"]
mod wakeup;
#[path = "yielding.rs"]
mod yielding;

pub(crate) use claimed::Claimed;
pub(crate) use event::Woken;
pub(crate) use list::{Decision, Guarded, Held, View, WaitList, Waited};
pub(crate) use observable::{Observable, Readiness};
pub(crate) use parker::Parker;
pub(crate) use queue::WaitQueue;
pub use reason::WaitReason;
pub(crate) use reason::Why;
pub(crate) use taken::Taken;
pub(crate) use verdict::Verdict;
pub(crate) use waiter::{Claim, Offer, Waiter};
pub(crate) use wakeup::Wakeup;
pub(crate) use yielding::{
    before_a_wait, may_switch, note_failed_poll, note_lock_wait, sleep_briefly, sleep_until,
    spin_for_lock, unwind, yield_to_others,
};

/// No model looks from outside.
pub(crate) fn named<T>(_: Why, f: impl FnOnce() -> T) -> T {
    f()
}
