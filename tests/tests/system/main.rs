//! Processes and signals, and looking into a process.

#[cfg(target_os = "linux")]
mod asleep;
#[cfg(target_os = "linux")]
mod blockers;
mod cycles;
mod debug;
#[cfg(target_os = "linux")]
mod dump;
#[cfg(target_os = "linux")]
mod gdb;
#[cfg(target_os = "linux")]
mod leaks;
#[cfg(target_os = "linux")]
mod metrics;
mod process;
#[cfg(target_os = "linux")]
mod profile;
#[cfg(unix)]
mod schedtrace;
#[cfg(target_os = "linux")]
mod server;
mod signal;
mod trace;
#[cfg(target_os = "linux")]
mod traceback;
