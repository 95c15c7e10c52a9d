//! The channel's core.

#[path = "../../../go-runtime/src/channel/core.rs"]
pub(crate) mod core;
#[path = "../../../go-runtime/src/channel/slot.rs"]
pub(crate) mod slot;
#[path = "../../../go-runtime/src/channel/state.rs"]
pub(crate) mod state;
#[path = "../../../go-runtime/src/channel/wait_queue.rs"]
pub(crate) mod wait_queue;
