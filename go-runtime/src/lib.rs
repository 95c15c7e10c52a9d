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
//! # Panics
//!
//! A panic ends its goroutine only. The panic hook reports it with the goroutine's name and where it was spawned, and
//! [`JoinHandle::join`] returns it. While a goroutine unwinds it does not switch: a `Drop` that blocks then blocks the worker's
//! thread, since other goroutines on it would see [`std::thread::panicking`].
#![doc(test(attr(deny(warnings), allow(dead_code, unused_variables))))]

mod clock;
mod config;
mod goroutine;
mod primitives;
mod sched;
mod select;
mod stack;

pub mod channel;
pub mod sync;
pub mod time;

mod macros;

pub use go_macros::main;
pub use goroutine::{
    Builder, JoinHandle, gomaxprocs, num_goroutine, spawn, spawn_local, yield_now,
};

/// What the macros expand to. Not for direct use: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::goroutine::{park_forever, run_main, spawn_local_with, spawn_with};
    pub use crate::select::{
        AnyArm, CanReceive, CanSend, RecvArm, Reservation, SendArm, Timeout, select,
    };
    pub use crate::time::sleep;
    pub use go_macros::{
        go as go_impl, golang as golang_impl, select as select_impl,
        select_biased as select_biased_impl,
    };
}
