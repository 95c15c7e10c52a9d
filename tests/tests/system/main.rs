//! Processes and signals.

mod process;
mod signal;
