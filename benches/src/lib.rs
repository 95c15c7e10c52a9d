//! What the benchmarks share.

mod common;
pub mod compare;
pub mod peers;

pub use common::*;
