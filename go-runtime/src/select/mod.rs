//! `select!`: waits on several channel operations, and carries out one of them.
//!
//! As in Go's runtime, a select locks all its channels at once, in the order of their addresses, so
//! that it sees them all in one moment: it takes one ready arm at random, or, if none is, queues a
//! waiter at every channel before it gives the locks back. Whoever serves one of the waiters claims
//! the parker that they share, so exactly one arm wins; the select then takes the other waiters
//! out.

mod arms;
mod dynamic;
mod engine;
mod misuse;
mod selected;

pub use arms::{CanReceive, CanSend, RecvArm, Reservation, SendArm};
pub use dynamic::Select;
pub use engine::{AnyArm, Timeout, select};
pub use selected::SelectedOperation;
