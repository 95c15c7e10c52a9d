//! `select!` and [`Select`]: wait for several channel operations, and carry out one of them.
//!
//! As in Go's runtime, a select locks all its channels at once, in the order of their addresses, so
//! that it sees them all in one moment. It takes one ready arm at random, or, if none is ready,
//! queues a waiter at every channel before it releases the locks. The partner that serves one of
//! the waiters claims the parker that all of them share, so exactly one arm wins; the select then
//! takes the other waiters out. The drawing is in `engine`.
//!
//! - `arms`: the typed arms of the macro;
//! - `engine`: the select itself, over arms of any type;
//! - `dynamic`, `selected`: [`Select`], whose list of arms is made while the program runs;
//! - `misuse`: methods that give better error messages for the wrong end of a channel.

mod arms;
mod dynamic;
mod engine;
mod misuse;
mod selected;

pub use arms::{CanReceive, CanSend, RecvArm, Reservation, SendArm};
pub use dynamic::Select;
pub use engine::{AnyArm, Timeout, select};
pub use selected::SelectedOperation;
