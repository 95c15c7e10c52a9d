//! Code that the tests share with the long-running `stress` and `soak` commands.

pub mod soak;
pub mod stress;
pub mod support;
