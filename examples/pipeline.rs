//! A pipeline with bounded stages: generate, square in several goroutines, merge, print. First it
//! runs to its end, then it is canceled in the middle.
//!
//! ```sh
//! cargo run --release --example pipeline
//! ```
//!
//! Each stage is a function that starts goroutines and returns the channel of their results. A
//! stage ends when its input is closed, or when the done channel is.

use go_runtime::channel::{self, Receiver};
use go_runtime::{go, gomaxprocs, select};

/// Sends the numbers, to the last one.
fn generate(
    done: Receiver<()>,
    numbers: impl Iterator<Item = u64> + Send + 'static,
) -> Receiver<u64> {
    let (tx, rx) = channel::bounded(4);
    go! {
        for n in numbers {
            select! {
                send(tx, n) -> sent => if sent.is_err() { break },
                recv(done) -> _ => break,
            }
        }
    };
    rx
}

/// Squares the numbers that it receives.
fn square(done: Receiver<()>, numbers: Receiver<u64>) -> Receiver<u64> {
    let (tx, rx) = channel::bounded(4);
    go! {
        for n in numbers {
            select! {
                send(tx, n * n) -> sent => if sent.is_err() { break },
                recv(done) -> _ => break,
            }
        }
    };
    rx
}

/// Merges several channels: a goroutine for each of them forwards its messages.
fn merge(done: Receiver<()>, inputs: Vec<Receiver<u64>>) -> Receiver<u64> {
    let (tx, rx) = channel::bounded(4);
    for input in inputs {
        go!(clone(tx, done) {
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

/// Builds the whole pipeline, with a goroutine for each worker in the middle.
fn squares(
    done: &Receiver<()>,
    numbers: impl Iterator<Item = u64> + Send + 'static,
) -> Receiver<u64> {
    let numbers = generate(done.clone(), numbers);
    let squared = (0..gomaxprocs()).map(|_| square(done.clone(), numbers.clone()));
    merge(done.clone(), squared.collect())
}

#[go_runtime::main]
fn main() {
    let (stop, done) = channel::bounded(0);

    let all: Vec<u64> = squares(&done, 1..=1000).iter().collect();
    let sum: u64 = all.iter().sum();
    println!("the whole run: {} squares, sum {sum}", all.len());

    // Without the done channel this pipeline would never end.
    let endless = squares(&done, 1..);
    let first: Vec<u64> = endless.iter().take(10).collect();
    println!("ten of the endless run: {first:?}");
    drop(stop);
    // Results in progress may still arrive; then the last sender is dropped.
    let late = endless.iter().count();
    println!("canceled, {late} came late");
}
