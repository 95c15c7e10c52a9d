//! The scheduler: workers that run goroutines, each on its own thread.
//!
//! A task waits to be started in a queue from which idle workers steal; once started it belongs to
//! its worker. Each worker is a single-threaded loop that owns its run queue, its timers and its
//! stacks. Threads meet in the [`inbox`] of goroutines woken from other threads (whose word also
//! says that a worker sleeps), in the queues of what has not started, in [`idle`], and in counters
//! that one writes and all read.
//!
//! Nothing here knows what a goroutine waits for, nor how: `wait` is built on what [`parking`]
//! offers.

pub(crate) mod blocks;
mod delayed;
mod fiber;
pub(crate) mod fork;
mod idle;
mod inbox;
mod label;
mod load;
mod monitor;
mod nap;
#[cfg(target_os = "linux")]
mod nesting;
#[cfg(target_os = "linux")]
mod overflow;
mod parking;
mod placement;
#[cfg(unix)]
mod poller;
#[cfg(not(unix))]
#[path = "no_poller.rs"]
mod poller;
mod report;
mod reputation;
mod rest;
mod runtime;
mod seat;
mod shortage;
#[cfg(feature = "tracing")]
mod spans;
mod task;
mod timers;
mod worker;

pub(crate) use delayed::DelayedKey;
pub(crate) use fiber::Fiber;
pub(crate) use parking::{Home, InboxNode, Sleeper};
#[cfg(unix)]
pub(crate) use poller::{Interest, Readiness, Registration};
pub(crate) use runtime::Runtime;
#[cfg(feature = "tracing")]
pub(crate) use spans::exit_forgotten;
pub(crate) use task::{Options, Task, TaskRef, VTable};
pub(crate) use worker::Worker;
pub(crate) use worker::patience::may_be_over;
