//! Processes and signals, and looking into a process.

#[cfg(target_os = "linux")]
mod asleep;
mod debug;
#[cfg(target_os = "linux")]
mod gdb;
mod process;
mod signal;
