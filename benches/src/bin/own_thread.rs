//! Compares a hand-over between a goroutine and a goroutine with a thread of its own with a
//! hand-over between a goroutine and a plain thread:
//! `cargo run --release -p go-benches --bin own_thread`.
//!
//! Both are measured in turn, as round trips over two unbuffered channels; the medians and their
//! ratio are printed. The ratio should be 1, since both run the same code.

use std::thread;
use std::time::Instant;

use go_benches::numbers::median;
use go_runtime::channel::{Receiver, Sender, bounded};
use go_runtime::go;

const ROUNDS: u32 = 20_000;
const RUNS: usize = 15;

fn main() {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        times[0].push(round_trip(|pings, pong| {
            thread::spawn(move || echo(&pings, &pong));
        }));
        times[1].push(round_trip(|pings, pong| {
            go!(thread; move || echo(&pings, &pong));
        }));
    }
    let [plain, own] = times.map(median);
    println!("round trip of a goroutine, ns (medians of {RUNS} runs in turn)");
    println!("with a plain thread                     {plain:>8.0}");
    println!("with a goroutine with a thread of its own {own:>6.0}");
    println!(
        "ratio                                   {:>8.2}",
        own / plain
    );
}

fn echo(pings: &Receiver<u32>, pong: &Sender<u32>) {
    for ping in pings.iter() {
        pong.send(ping).unwrap();
    }
}

/// Returns the nanoseconds of a round trip between a goroutine and the goroutine or thread that
/// `start` starts, which ends when this function drops its channels.
fn round_trip(start: impl FnOnce(Receiver<u32>, Sender<u32>)) -> f64 {
    let (ping, pings) = bounded(0);
    let (pong, pongs) = bounded(0);
    start(pings, pong);
    let asking = go!({
        let start = Instant::now();
        for n in 0..ROUNDS {
            ping.send(n).unwrap();
            assert_eq!(pongs.recv(), Ok(n));
        }
        start.elapsed()
    });
    asking.join().unwrap().as_nanos() as f64 / f64::from(ROUNDS)
}
