//! Contexts and timers.

mod context;
mod time;
