//! crossbeam-channel's own tests, and the examples of its documentation, run on this crate's
//! channels.
//!
//! The build script makes them from the sources of the crate version that `Cargo.lock` names, by
//! changing only names. The target `threads` runs them on plain threads. In `goroutines` all
//! functions that start, join or block threads are [mapped](thread) to goroutines, and each test
//! runs with GOMAXPROCS 1 and 8, and 2 on request. A table in `build/names.rs` lists the tests that
//! are left out. `golang_rest` is written for this project: the parts of Go's tests that
//! crossbeam-channel has not ported. `counts.sh` shows how many tests passed, by file.

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
