//! A crowd of goroutines that perform random operations for a long time, without losses and without
//! growth.
//!
//! Some hundred thousand goroutines live at any time. Most wait on a channel for a partner; the
//! others start children, talk, sleep, select, panic, use much of their stacks, or run blocking
//! calls in the pool. In the end counters show that no message and no goroutine was lost; the
//! process must use no more memory and mappings than soon after the start.
//! `cargo run --release -p go-tests --bin soak` does this for minutes, the tests do it for a
//! moment.

mod counts;
mod expected;
mod growth;
mod inside;
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
