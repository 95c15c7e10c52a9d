//! Measures the cost of a select by the number of its channels: `cargo run --release -p go-benches
//! --bin wide_select`.
//!
//! *ready*: one channel, the last or the first, has a message; the select finds it. *parked*: no
//! channel has one, so the select waits in all queues for another goroutine of the same worker, and
//! then takes its waiters out again.

use std::time::Instant;

use go_runtime::channel::{Receiver, Select, Sender, bounded};
use go_runtime::{go, yield_now};

const OPERATIONS: usize = 4_000_000;

fn main() {
    println!("channels   ready ns  a channel   parked ns  a channel");
    // The minimum of five runs, because disturbances only add to the time.
    for channels in [1, 4, 16, 64, 250, 1_000, 4_000] {
        let rounds = (OPERATIONS / channels).clamp(1_000, 200_000);
        let least = |run: fn(usize, usize) -> f64| {
            let times = (0..5).map(|_| go!({ run(channels, rounds) }).join().unwrap());
            times.fold(f64::INFINITY, f64::min)
        };
        let (ready, parked) = (least(ready), least(parked));
        let each = |ns: f64| ns / channels as f64;
        println!(
            "{channels:>8} {ready:>10.0} {:>10.1} {parked:>11.0} {:>10.1}",
            each(ready),
            each(parked)
        );
    }
}

fn make(channels: usize) -> (Vec<Sender<usize>>, Vec<Receiver<usize>>) {
    (0..channels).map(|_| bounded(1)).unzip()
}

fn ready(channels: usize, rounds: usize) -> f64 {
    let (tx, rx) = make(channels);
    let mut list = Select::new();
    for rx in &rx {
        list.recv(rx);
    }
    let start = Instant::now();
    for round in 0..rounds {
        tx[round % channels].send(round).unwrap();
        let operation = list.select();
        let index = operation.index();
        assert_eq!(operation.recv(&rx[index]), Ok(round));
    }
    start.elapsed().as_secs_f64() * 1e9 / rounds as f64
}

fn parked(channels: usize, rounds: usize) -> f64 {
    let (tx, rx) = make(channels);
    let partner = go!(local; move || {
        for round in 0..rounds {
            tx[round % channels].send(round).unwrap();
            yield_now();
        }
        tx
    });
    let mut list = Select::new();
    for rx in &rx {
        list.recv(rx);
    }
    let start = Instant::now();
    for round in 0..rounds {
        let operation = list.select();
        let index = operation.index();
        assert_eq!(operation.recv(&rx[index]), Ok(round));
    }
    let time = start.elapsed().as_secs_f64() * 1e9 / rounds as f64;
    drop(partner.join());
    time
}
