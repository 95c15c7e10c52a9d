//! Goroutines for Rust.
//!
//! A goroutine is a stackful coroutine on one of [`gomaxprocs`] worker threads. It blocks in ordinary code; blocking parks it, not
//! the thread. Once it has started it never changes its thread.
//!
//! ```
//! use go_runtime::{channel, go};
//!
//! let (tx, rx) = channel::bounded(0);
//! go!(tx.send("hello"));
//! assert_eq!(rx.recv(), Ok("hello"));
//! ```
//!
//! [`go!`] starts goroutines, [`channel`]s connect them, [`select!`] waits for several, and [`sync`] and [`time`] have the rest.
//! [`macro@main`] makes a goroutine of `main`; without it the runtime starts at the first use.
//!
//! # Settings
//!
//! These environment variables are read when the runtime starts:
//!
//! - `GOMAXPROCS`: the number of workers, 1 to 1024; else the number of CPUs.
//! - `GOSTACK`: the default size of a stack in bytes, 32 KiB to 1 GiB, rounded up to a power of two; else 256 KiB. It includes a guard page
//!   and some hundred bytes that the runtime needs.
//! - `GOBLOCKING`: the most threads for [`blocking`] calls; else 1024.
//! - `GODEBUG`: a list with commas. `slow=1` reports goroutines that hold their worker for over 10 ms, once for each place where they are
//!   spawned. For comparisons and tests: `colour=0` lets the tops of all stacks lie at the same place of a page, `mprotect=1` makes guard
//!   pages as on Linux before 6.13, where each takes two mappings of the process. Any value but 0 switches on; other names are let pass, as Go does.
//!
//! An empty variable counts as none.
//!
//! # Limits
//!
//! - A goroutine that computes without end, or is in a call that blocks outside of [`blocking`], holds its worker: what has started there
//!   waits. What has not started runs elsewhere after 10 to 20 ms: a worker is added, up to 256 of them, so that `GOMAXPROCS` go on; it retires when
//!   the held one is free. Call [`yield_now`] in long computations, or put them into [`blocking`]. (Polling is no such thing: when `select!` with a `default`, `try_recv`, `try_send`, `is_finished`, [`Mutex::try_lock`](sync::Mutex::try_lock) or any operation on a closed channel
//!   comes to nothing, 10 ms or more after the first that did so since the goroutine was resumed, others run. As everywhere that others may run, do not hold a guard of a
//!   [`std::sync::Mutex`] then. Operations that succeed at once never let others run, but for [`Mutex::lock`](sync::Mutex::lock) while others wait for that lock.)
//! - A guard of a [`std::sync::Mutex`] held over a blocking operation may block the worker for its siblings (one of a [`sync::Mutex`] does not); so may the initialiser of
//!   a `OnceLock` or `LazyLock` that blocks.
//! - An executor's `block_on` blocks the thread, in a goroutine its worker, and with it perhaps those who would wake the future. In a
//!   goroutine use `recv`, `send` and `join`; leave `recv_async`, `send_async` and `.await` to async tasks.
//! - When all goroutines wait for ever (a deadlock) nobody says so.
//! - Stacks do not grow. A goroutine that overflows its own runs into a guard page: on Linux a message says which one, where it was spawned,
//!   and how to give it more, and the process aborts. Other faults are left to the handler that was installed before the runtime started.
//! - A thread-local's initialiser must not block. Should two goroutines of one worker take turns in initialising the same thread-local,
//!   std replaces, and drops, the first value while it may be in use: std takes for granted that initialisers on one thread nest. The
//!   runtime cannot see this, so it is the one way known to undefined behaviour from safe code. (A `const` initialiser cannot block.)
//! - Crates that keep raw pointers in thread-locals for the extent of a closure (scoped thread-locals) assume that such closures nest
//!   on a thread; goroutines of one worker may interleave them.
//!
//! # Panics
//!
//! A panic ends its goroutine only. The panic hook reports it with the goroutine's name and where it was spawned, and
//! [`JoinHandle::join`] returns it. While a goroutine unwinds it does not switch: a `Drop` that blocks then blocks the worker's
//! thread, since other goroutines on it would see [`std::thread::panicking`].
#![doc(test(attr(deny(warnings), allow(dead_code, unused_variables))))]

mod blocking;
mod clock;
mod config;
mod goroutine;
mod join_set;
mod primitives;
mod sched;
mod scope;
mod select;
mod stack;

pub mod channel;
pub mod context;
pub mod errgroup;
pub mod singleflight;
pub mod sync;
pub mod time;

mod macros;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub use blocking::blocking;
/// `main` runs on a worker's thread, not on the program's first one. When it returns the program ends, whatever
/// goroutines still run.
///
/// ```
/// #[go_runtime::main]
/// fn main() -> Result<(), std::num::ParseIntError> {
///     let n = go_runtime::go!("42".parse::<i32>()).join().unwrap()?;
///     assert_eq!(n, 42);
///     Ok(())
/// }
/// ```
///
/// An async `main` keeps its executor's attribute, and does without this one: goroutines start all the same.
///
/// # Exit codes
///
/// What `main` returns; 101 after a panic; 2, with a message, if the runtime cannot start.
///
pub use go_macros::main;
pub use goroutine::{
    Builder, JoinFuture, JoinHandle, gomaxprocs, num_goroutine, spawn, spawn_local, yield_now,
};
pub use join_set::JoinSet;
pub use scope::{Scope, ScopedJoinHandle, scope};

/// What the macros expand to. Not for direct use: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::goroutine::{Cloned, park_forever, run_main, spawn_local_with, spawn_with};
    pub use crate::scope::spawn_scoped_with;
    pub use crate::select::{
        AnyArm, CanReceive, CanSend, RecvArm, Reservation, SendArm, Timeout, select,
    };
    pub use crate::time::sleep;
    pub use go_macros::{
        go as go_impl, golang as golang_impl, select as select_impl,
        select_biased as select_biased_impl,
    };
}
