//! Processes and signals, and looking into a process.

#[cfg(target_os = "linux")]
mod asleep;
mod cycles;
mod debug;
#[cfg(target_os = "linux")]
mod dump;
mod process;
mod signal;
#[cfg(target_os = "linux")]
mod traceback;
