//! A crowd of goroutines that does a bit of everything for a long time, without loss and without
//! growth.
//!
//! Some hundred thousand goroutines live at any time; most wait on a channel for a partner, the
//! others start children, talk, sleep, select, panic, use much of their stacks, or are in the pool
//! for what blocks. Counters say at the end that no message and no goroutine is lost, and the
//! memory and the mappings of the process have to stay as they were soon after the start.
//! `cargo run --release -p go-tests --bin soak` does so for minutes, the tests for a moment.

mod counts;
mod expected;
mod growth;
mod keeper;
mod life;
mod lobby;
mod message;
mod process;
mod report;
mod run;
mod stacks;
mod talk;
mod watchdog;
mod world;

pub use counts::Kind;
pub use run::{Plan, run};
