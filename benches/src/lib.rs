//! Code that the benchmarks share.

pub mod child;
mod common;
pub mod figures;
pub mod latency;
pub mod lineup;
pub mod numbers;
pub mod options;
pub mod peers;
pub mod servers;
pub mod table;
pub mod tally;
pub mod waiting;

pub use common::*;
