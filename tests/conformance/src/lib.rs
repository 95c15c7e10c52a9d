//! crossbeam-channel's own tests, and the examples in its documentation, on our channels.
//!
//! The build script makes them from the sources of that crate, as `Cargo.lock` names it, by
//! changing names only. The target `threads` runs them on plain threads. In `goroutines` all that
//! starts, joins or blocks threads is [mapped](thread) to goroutines, and each test is run with
//! GOMAXPROCS 1 and 8, and 2 on request. What is left out is in a table in `build/names.rs`.
//! `golang_rest` is ours: what that crate has left to be done of Go's tests. `counts.sh` shows how
//! many have passed, by file.

pub mod scoped;
pub mod sync;
pub mod thread;

mod process;

pub use conformance_macros::{in_goroutine, in_process};
pub use process::run;

#[cfg(doctest)]
mod examples {
    include!(concat!(env!("OUT_DIR"), "/examples.rs"));
}
