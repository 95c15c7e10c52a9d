//! crossbeam-channel's own tests, and the examples in its documentation, on our channels; the build script makes them from its sources.
//!
//! The targets: `threads` and `threads_golang` run them on plain threads, as they stand but for the channels' names. In `goroutines_1`, `_2` and
//! `_4` all of it happens in goroutines, on so many workers: what starts, joins and blocks threads is mapped to the modules here.

pub mod sync;
pub mod thread;

pub use conformance_macros::test;

use std::env;
use std::panic::resume_unwind;
use std::sync::{Mutex, Once, PoisonError};

use go_runtime::{gomaxprocs, Builder};

/// The body of a test that runs in a goroutine. One at a time: these tests measure how long things take.
pub fn in_goroutine(workers: usize, test: impl FnOnce() + Send + 'static) {
    static START: Once = Once::new();
    static TURN: Mutex<()> = Mutex::new(());
    START.call_once(|| env::set_var("GOMAXPROCS", workers.to_string()));
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(gomaxprocs(), workers);
    // As much as the thread of a test has.
    let goroutine = Builder::new().stack_size(2 << 20).spawn(test);
    if let Err(payload) = goroutine.expect("a goroutine").join() {
        resume_unwind(payload);
    }
}

#[cfg(doctest)]
#[doc = include_str!(concat!(env!("OUT_DIR"), "/examples.md"))]
pub struct Examples;
