//! The channel's core.

#[path = "../../../go-runtime/src/channel/core.rs"]
pub(crate) mod core;
#[path = "../../../go-runtime/src/channel/wait_queue.rs"]
pub(crate) mod wait_queue;
