//! Deliberate mistakes in goroutines: `sanitizers.sh` runs them to check that its tools find
//! mistakes where stacks are switched.
//!
//! Ignored, because they mean nothing without the tools.

use std::hint::black_box;

use go_runtime::{go, yield_now};

#[test]
#[ignore = "a mistake, run by sanitizers.sh"]
fn freed_memory_is_read() {
    let read = go! {
        let freed = Box::into_raw(Box::new([1_u8; 64]));
        yield_now();
        // SAFETY: the pointer comes from `into_raw`, and is freed only here.
        drop(unsafe { Box::from_raw(freed) });
        // SAFETY: none: this is the mistake that the tool must report.
        unsafe { freed.cast::<u8>().read_volatile() }
    };
    black_box(read.join().unwrap());
}

/// Only AddressSanitizer knows the limits of values on a stack.
#[test]
#[ignore = "a mistake, run by sanitizers.sh"]
fn a_frame_is_overrun() {
    let read = go! {
        let frame = black_box([1_u8; 64]);
        yield_now();
        let end = black_box(&frame).as_ptr().wrapping_add(black_box(64));
        // SAFETY: none: this is the mistake that the tool must report.
        unsafe { end.read_volatile() }
    };
    black_box(read.join().unwrap());
}
