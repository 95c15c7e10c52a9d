//! Measures what the feature `tracing` adds to the cost of a switch:
//! `cargo run --release -p go-benches --features tracing --bin tracing`.
//!
//! Two goroutines on one worker yield to each other: without a subscriber, with
//! tracing-subscriber's `Registry`, and in one and three spans of that.

use std::time::Instant;

use go_runtime::{go, yield_now};
use tracing::info_span;
use tracing_subscriber::Registry;

const SWITCHES: u32 = 1_000_000;
const RUNS: usize = 5;

fn main() {
    println!("ns a switch (the least of {RUNS} runs)");
    each("no subscriber", 0);
    if let Err(error) = tracing::subscriber::set_global_default(Registry::default()) {
        eprintln!("tracing: {error}");
        std::process::exit(1);
    }
    each("subscriber, no span", 0);
    each("in one span", 1);
    each("in three spans", 3);
}

fn each(what: &str, spans: usize) {
    let least = (0..RUNS).map(|_| run(spans)).fold(f64::MAX, f64::min);
    println!("{what:<20} {least:>7.1}");
}

fn run(spans: usize) -> f64 {
    let yields = move || {
        let _entered: Vec<_> = (0..spans).map(|_| info_span!("span").entered()).collect();
        (0..SWITCHES / 2).for_each(|_| yield_now());
    };
    let start = Instant::now();
    let pair = go! {
        let other = go!(local; yields());
        yields();
        other.join()
    };
    pair.join().unwrap().unwrap();
    start.elapsed().as_nanos() as f64 / f64::from(SWITCHES)
}
