//! What the tests and the long-running `stress` command have in common.

pub mod stress;
