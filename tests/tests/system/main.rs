//! Processes and signals, and looking into a process.

#[cfg(target_os = "linux")]
mod asleep;
mod debug;
mod process;
mod signal;
mod trace;
