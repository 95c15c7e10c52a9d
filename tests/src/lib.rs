//! What the tests and the long-running `stress` and `soak` commands have in common.

pub mod soak;
pub mod stress;
