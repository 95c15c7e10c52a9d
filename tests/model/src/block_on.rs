//! The waker of `block_on`: no call of the waker is lost, and the next poll sees the effects of
//! everything before the call.

#[path = "../../../go-runtime/src/block_on/signal.rs"]
mod signal;

use std::sync::Arc;
use std::task::Waker;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use self::signal::Signal;
use crate::check;

/// Does what `block_on` does; its poll checks whether all `flags` are set.
fn wait_for(flags: &[AtomicUsize], signal: &Signal) {
    // Relaxed, because the signal orders the flags.
    while !flags.iter().all(|flag| flag.load(Ordering::Relaxed) == 1) {
        if !signal.take() {
            signal.wait();
        }
    }
}

fn calls(callers: usize, each: usize) {
    let flags: Arc<Vec<_>> = Arc::new((0..callers).map(|_| AtomicUsize::new(0)).collect());
    let signal = Arc::new(Signal::new());
    for n in 0..callers {
        let (flags, waker) = (Arc::clone(&flags), Waker::from(Arc::clone(&signal)));
        thread::spawn(move || {
            for _ in 1..each {
                waker.wake_by_ref();
            }
            flags[n].store(1, Ordering::Relaxed);
            waker.wake();
        });
    }
    wait_for(&flags, &signal);
}

#[test]
fn a_call_is_seen() {
    check("one caller, once", 3, || calls(1, 1));
    check("one caller, three times", 3, || calls(1, 3));
    check("two callers", 3, || calls(2, 1));
    check("two callers, twice", 2, || calls(2, 2));
}
