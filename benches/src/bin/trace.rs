//! Measures what an event of `go_runtime::trace` costs:
//! `cargo run --release -p go-benches --bin trace`.
//!
//! Two goroutines on one worker yield to each other, which makes two events for each turn, or send
//! each other messages, which makes three: without a recording, with a flight recorder, and with a
//! trace that is thrown away by its writer, on another thread.

use std::io;
use std::time::Instant;

use go_runtime::channel::bounded;
use go_runtime::trace::{self, FlightRecorder, FlightRecorderConfig};
use go_runtime::{go, yield_now};

const TURNS: u32 = 1_000_000;
const RUNS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "ns a yield, a message (least of {RUNS} runs): off, recorder, trace; recorder's event"
    );
    for (what, events, run) in [
        ("yield", 2.0, yields as fn() -> f64),
        ("rendezvous", 3.0, rendezvous),
    ] {
        let off = least(run);
        let recorder = FlightRecorder::new(FlightRecorderConfig::default());
        recorder.start()?;
        let on = least(run);
        let start = Instant::now();
        let bytes = recorder.write_to(&mut io::sink())?;
        let took = start.elapsed();
        recorder.stop();
        trace::start(io::sink())?;
        let traced = least(run);
        trace::stop()?;
        let event = (on - off) / events;
        println!("{what:<12}{off:>7.1}{on:>7.1}{traced:>7.1}{event:>7.1}");
        println!("  a trace of {} KiB, written in {took:.1?}", bytes >> 10);
    }
    Ok(())
}

fn least(run: fn() -> f64) -> f64 {
    (0..RUNS).map(|_| run()).fold(f64::MAX, f64::min)
}

/// Returns the nanoseconds of a turn.
fn yields() -> f64 {
    let yields = || (0..TURNS / 2).for_each(|_| yield_now());
    measure(move || {
        let other = go!(local; yields());
        yields();
        other.join().unwrap();
    })
}

fn rendezvous() -> f64 {
    measure(|| {
        let (tx, rx) = bounded(0);
        let sender = go!(local; for n in 0..TURNS { tx.send(n).unwrap() });
        rx.iter().for_each(drop);
        sender.join().unwrap();
    })
}

fn measure(work: impl FnOnce() + Send + 'static) -> f64 {
    let run = go!(move || {
        yield_now();
        let start = Instant::now();
        work();
        start.elapsed().as_nanos() as f64 / f64::from(TURNS)
    });
    run.join().unwrap()
}
