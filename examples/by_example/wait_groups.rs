//! A wait group: `main` continues when all of the group's goroutines have ended, however many there
//! are.
//!
//! Go: `wg.Go(f)`, or `Add`, `Done` and `Wait`. Here a group is a handle, so a clone of it is the
//! same group (in Go a copy is a bug). A goroutine that `go` starts also leaves the count when it
//! panics, and its handle has its result.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use go_runtime::sync::WaitGroup;
use go_runtime::{go, time};

static LIT: AtomicU32 = AtomicU32::new(0);

fn light(lamp: &str) -> usize {
    time::sleep(Duration::from_millis(2));
    println!("{lamp} is lit");
    LIT.fetch_add(1, Ordering::Relaxed);
    lamp.len()
}

#[go_runtime::main]
fn main() {
    let lamps = WaitGroup::new();
    for lamp in ["the red lamp", "the green lamp"] {
        lamps.go(move || light(lamp));
    }
    let white = lamps.go(|| light("the white lamp"));
    lamps.wait();
    println!("lit: {LIT:?}");
    println!("a result: {:?}", white.join().ok());

    // By hand: `add` counts a goroutine before it starts, and `done` when it ends.
    lamps.add(1);
    go!(clone(lamps) {
        light("the lighthouse");
        lamps.done();
    });
    lamps.wait();
    println!("lit: {LIT:?}");
}
