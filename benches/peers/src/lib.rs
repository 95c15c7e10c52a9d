//! What the peers share with our own workloads, which lie in the workspace: the same files,
//! compiled in both.

#[path = "../../src/common.rs"]
mod common;
#[path = "../../src/latency.rs"]
pub mod latency;

pub use common::*;
