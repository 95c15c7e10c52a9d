//! Races on channels, with an account of every message.
//!
//! Goroutines, threads and futures send, receive and select on one channel, with timeouts, while it
//! is closed or its ends are dropped. A ledger then shows whether each message has had exactly one
//! fate. `cargo run --release -p go-tests --bin stress` does this with ten million messages on each
//! kind of channel, the tests with fewer.

mod ledger;
mod memory;
mod rounds;
mod timed;
mod workers;

pub use memory::long_lived;
pub use rounds::{Flavor, run};
pub use timed::{at, tick};
