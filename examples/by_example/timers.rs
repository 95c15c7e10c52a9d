//! Timers: one event in the future, which can be stopped or postponed, or which runs a function.
//!
//! Go: `time.NewTimer`, `Stop`, `Reset`, `time.AfterFunc`, with the rule of Go 1.23 that no stale
//! value is received after `Stop` or `Reset`. Here the same rule holds. To just wait, `time::sleep`
//! is enough, or `default(duration)` in a `select!`.

use std::time::{Duration, Instant};

use go_runtime::channel;
use go_runtime::time::{self, Timer};

const SOON: Duration = Duration::from_millis(5);
const LATE: Duration = Duration::from_secs(60);

#[go_runtime::main]
fn main() {
    let start = Instant::now();
    let egg = Timer::new(SOON);
    egg.channel().recv().unwrap();
    println!(
        "the egg is done, not too early: {}",
        start.elapsed() >= SOON
    );

    let bus = Timer::new(LATE);
    println!("stopped in time: {}", bus.stop());
    println!("again: {}", bus.stop());
    println!("so nothing comes: {:?}", bus.channel().try_recv());

    println!("it was pending: {}", bus.reset(SOON));
    bus.channel().recv().unwrap();
    println!("the bus is here");

    // Runs a function at that moment, in a goroutine that does not exist before.
    let (bell, rings) = channel::bounded(1);
    time::after_func(SOON, move || bell.send("ding").unwrap());
    println!("{}", rings.recv().unwrap());

    let siren = time::after_func(LATE, || println!("a siren that nobody hears"));
    println!("silenced: {}", siren.stop());
}
