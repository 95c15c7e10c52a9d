//! A pipeline with bounded stages: generate, square in several goroutines, merge, print. First it runs to its end, then it
//! is cancelled in the middle.
//!
//! ```sh
//! cargo run --release --example pipeline
//! ```
//!
//! Each stage is a function that starts goroutines and returns the channel of their results. A stage ends when its input is
//! closed, or when the done channel is.

use go_runtime::channel::{self, Receiver};
use go_runtime::{go, gomaxprocs, num_goroutine, select};

/// Sends the numbers until there are no more.
fn generate(
    done: &Receiver<()>,
    numbers: impl Iterator<Item = u64> + Send + 'static,
) -> Receiver<u64> {
    let (tx, rx) = channel::bounded(4);
    let _ = go!(clone(done) {
        for n in numbers {
            select! {
                send(tx, n) -> sent => if sent.is_err() { break },
                recv(done) -> _ => break,
            }
        }
    });
    rx
}

/// Squares what comes.
fn square(done: &Receiver<()>, numbers: &Receiver<u64>) -> Receiver<u64> {
    let (tx, rx) = channel::bounded(4);
    let _ = go!(clone(done, numbers) {
        for n in numbers {
            select! {
                send(tx, n * n) -> sent => if sent.is_err() { break },
                recv(done) -> _ => break,
            }
        }
    });
    rx
}

/// Brings several channels together: a goroutine for each passes its messages on.
fn merge(done: &Receiver<()>, inputs: Vec<Receiver<u64>>) -> Receiver<u64> {
    let (tx, rx) = channel::bounded(4);
    for input in inputs {
        let _ = go!(clone(tx, done) {
            for n in input {
                select! {
                    send(tx, n) -> sent => if sent.is_err() { break },
                    recv(done) -> _ => break,
                }
            }
        });
    }
    rx
}

fn squares(
    done: &Receiver<()>,
    numbers: impl Iterator<Item = u64> + Send + 'static,
) -> Receiver<u64> {
    let numbers = generate(done, numbers);
    let squared = (0..gomaxprocs()).map(|_| square(done, &numbers)).collect();
    merge(done, squared)
}

#[go_runtime::main]
fn main() {
    let (stop, done) = channel::bounded(0);

    let all: Vec<u64> = squares(&done, 1..=1000).iter().collect();
    println!(
        "the whole run: {} squares, sum {}",
        all.len(),
        all.iter().sum::<u64>()
    );

    // Without bounds this one would never end.
    let endless = squares(&done, 1..);
    let mut first: Vec<u64> = endless.iter().take(10).collect();
    first.sort_unstable();
    println!("ten squares of the endless run: {first:?}");

    drop(stop);
    // What is in the last channel's buffer still comes, then its senders are gone.
    println!("cancelled with {} on their way", endless.iter().count());
    while num_goroutine() > 1 {
        go_runtime::yield_now();
    }
    println!("all stages have ended");
}
