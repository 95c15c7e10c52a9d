//! The scheduler: workers that run goroutines, each on its own thread.
//!
//! A task waits to be started in a queue from which idle workers steal; once started, it belongs to
//! its worker. Each worker is a single-threaded loop that owns its run queue, its timers and its
//! stacks. Threads share only the following: each worker's [`inbox`] of goroutines that other
//! threads have woken (whose word also says that the worker sleeps), the queues of unstarted tasks,
//! the counts in [`idle`], and counters that one thread writes and all read.
//!
//! ```text
//!   go! ---> unstarted tasks ---> a worker ---> run queue ---> the goroutine runs
//!            (stolen by idle      starts it        ^                |
//!             workers)                             |                | parks
//!                                                  |                v
//!            woken by its own worker --------------+------- the goroutine waits
//!            woken by another thread ---> inbox ---'
//! ```
//!
//! The scheduler does not know what a goroutine waits for, nor how: `wait` is built on what
//! [`parking`] offers.

mod blocks;
pub(crate) mod checks;
mod delayed;
mod fiber;
pub(crate) mod fork;
#[cfg(target_os = "linux")]
pub(crate) mod frames;
pub(crate) mod global;
#[cfg(target_os = "linux")]
mod head;
mod hiring;
mod holding_sites;
mod idle;
mod inbox;
mod label;
pub(crate) mod listing;
mod load;
pub(crate) mod metrics;
mod monitor;
mod monitor_sleep;
#[cfg(target_os = "linux")]
mod nesting;
#[cfg(target_os = "linux")]
pub(crate) mod overflow;
mod parking;
mod placement;
#[cfg(unix)]
mod poller;
#[cfg(not(unix))]
#[path = "no_poller.rs"]
mod poller;
pub(crate) mod profile;
pub(crate) mod recording;
#[cfg(unix)]
mod registration;
mod report;
mod runtime;
mod schedtrace;
mod shared;
mod shortage;
pub(crate) mod silence;
mod sleep_state;
mod sleeper;
#[cfg(feature = "tracing")]
mod spans;
mod spawn;
mod stats;
mod tally;
mod task;
pub(crate) mod task_memory;
mod timer_heap;
mod tuning;
mod worker;

#[cfg(target_os = "linux")]
pub(crate) use blocks::FREE_BLOCK;
pub(crate) use fiber::{Fiber, TIMED};
#[cfg(target_os = "linux")]
pub(crate) use head::Head;
#[cfg(target_os = "linux")]
pub(crate) use label::NAMED;
pub(crate) use label::Site;
pub(crate) use parking::{InboxNode, OwnerWorker};
#[cfg(unix)]
pub(crate) use poller::{Interest, IoEvent};
#[cfg(unix)]
pub(crate) use registration::Registration;
pub(crate) use report::write_report;
pub(crate) use runtime::Runtime;
pub(crate) use sleeper::Sleeper;
#[cfg(feature = "tracing")]
pub(crate) use spans::exit_forgotten;
pub(crate) use spawn::{DelayedKey, call_off, note_spawner, set_site_of_thread, spawn, spawn_at};
pub(crate) use task::{Options, Task, TaskRef, VTable};
pub(crate) use tuning::PARK_SPINS;
pub(crate) use worker::fairness::may_be_over;
pub(crate) use worker::{Worker, suspend};
