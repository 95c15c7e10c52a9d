//! What the benchmarks share.

mod common;
pub mod peers;

pub use common::*;
