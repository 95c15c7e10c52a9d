//! What the peers share with our own workloads, which lie in the workspace: one file, compiled in both.

#[path = "../../src/common.rs"]
mod common;

pub use common::*;
