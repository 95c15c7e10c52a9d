//! Code that the peers share with this runtime's own workloads: one file, compiled in both crates.

#[path = "../../src/common.rs"]
mod common;

pub use common::*;
