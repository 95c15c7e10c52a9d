//! Atomic counters: fifty goroutines increment one number, and no increment is lost.
//!
//! Go: `atomic.Uint64`, shared through the closure. Here the atomics are std's, with an explicit
//! memory order; a counter that is not atomic would not compile. The `scope` waits for its
//! goroutines, so they may borrow the counter from the stack.

use std::sync::atomic::{AtomicU64, Ordering};

use go_runtime::{go, scope};

#[go_runtime::main]
fn main() {
    let visitors = AtomicU64::new(0);
    scope(|s| {
        for _ in 0..50 {
            go!(s; {
                for _ in 0..1000 {
                    visitors.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    println!("visitors: {}", visitors.into_inner());
}
