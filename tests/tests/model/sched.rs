//! The scheduler's protocols, and a parker for loom's threads.

#[path = "../../../go-runtime/src/sched/handshake.rs"]
pub(crate) mod handshake;
#[path = "../../../go-runtime/src/sched/idle.rs"]
pub(crate) mod idle;
#[path = "../../../go-runtime/src/sched/inbox.rs"]
pub(crate) mod inbox;
#[path = "../../../go-runtime/src/sched/nap.rs"]
pub(crate) mod nap;
#[path = "../../../go-runtime/src/sched/rest.rs"]
pub(crate) mod rest;
#[path = "../../../go-runtime/src/sched/wakeup.rs"]
pub(crate) mod wakeup;

#[path = "parker.rs"]
mod parker;
pub(crate) use parker::{Parker, Unparker, Verdict};
pub(crate) use wakeup::Wakeup;
