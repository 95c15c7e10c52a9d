//! The four programs of Go's tests that crossbeam-channel's `golang.rs` has not ported, written
//! anew from what Go promises.
//!
//! Each runs on threads, and in goroutines with GOMAXPROCS 1 and 8, and 2 on request. Where this
//! crate's channels differ from Go's, the tests assert this crate's behavior: Go's nil channel is
//! [`never()`](go_runtime::channel::never) here, and an operation that panics in Go returns an
//! error or does nothing.

mod chan_barrier;
mod closed_chan;
mod race_chan;
mod select3;

/// The kind of caller, which determines how a test starts its helpers.
trait Caller {
    /// Starts `f`, and returns a function that waits for its result.
    fn start<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() -> T;
}

struct Thread;
struct Goroutine;

impl Caller for Thread {
    fn start<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() -> T {
        let handle = std::thread::spawn(f);
        move || handle.join().expect("no panic")
    }
}

impl Caller for Goroutine {
    fn start<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() -> T {
        let handle = go_runtime::go!(f());
        move || handle.join().expect("no panic")
    }
}

/// Defines the four tests for each function, which is generic in its caller.
macro_rules! for_all_callers {
    ($($test:ident),* $(,)?) => {
        mod on_threads {
            $(#[test] fn $test() { super::$test::<crate::Thread>(); })*
        }
        mod in_goroutines {
            $(#[conformance::in_goroutine] fn $test() { super::$test::<crate::Goroutine>(); })*
        }
    };
}
use for_all_callers;
