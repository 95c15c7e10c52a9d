//! The scheduler's protocols.

#[path = "../../../go-runtime/src/sched/idle.rs"]
pub(crate) mod idle;
#[path = "../../../go-runtime/src/sched/inbox.rs"]
pub(crate) mod inbox;
#[path = "../../../go-runtime/src/sched/nap.rs"]
pub(crate) mod nap;
#[path = "../../../go-runtime/src/sched/rest.rs"]
pub(crate) mod rest;
