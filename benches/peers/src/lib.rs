//! What the peers share with this runtime's own workloads: the same file, compiled in both crates.

#[path = "../../src/common.rs"]
mod common;

pub use common::*;
