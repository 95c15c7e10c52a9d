//! Races on channels, with an account of every message.
//!
//! Goroutines, threads and futures send, receive and select on one channel, with timeouts, while it
//! is closed or its ends are dropped; then a ledger says whether each message has gone one way, and
//! one only. `cargo run --release -p go-tests --bin stress` does so with ten million messages on
//! each kind of channel, the tests with fewer.

mod ledger;
mod memory;
mod rounds;
mod timed;
mod workers;

pub use memory::long_lived;
pub use rounds::{Flavour, run};
pub use timed::{at, tick};
