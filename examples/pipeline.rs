//! A pipeline of bounded stages that is cancelled in the middle: `cargo run --release --example pipeline`

use go_runtime::channel::{Receiver, bounded};
use go_runtime::{go, gomaxprocs, select};

/// 1, 2, 3 ... until `done` is closed.
fn generate(done: Receiver<()>) -> Receiver<u64> {
    let (tx, rx) = bounded(4);
    drop(go! {
        for n in 1.. {
            select! {
                send(tx, n) -> sent => if sent.is_err() { return },
                recv(done) -> _ => return,
            }
        }
    });
    rx
}

/// The squares of what comes in, from several goroutines, so in no certain order.
fn square(numbers: Receiver<u64>, done: Receiver<()>) -> Receiver<u64> {
    let (tx, rx) = bounded(4);
    for _ in 0..gomaxprocs() {
        drop(go!(clone(numbers, tx, done) {
            for n in numbers {
                select! {
                    send(tx, n * n) -> sent => if sent.is_err() { return },
                    recv(done) -> _ => return,
                }
            }
        }));
    }
    rx
}

#[go_runtime::main]
fn main() {
    let (stop, done) = bounded::<()>(0);
    let squares = square(generate(done.clone()), done);
    let mut sum = 0;
    for (count, n) in (1..).zip(squares.iter()) {
        sum += n;
        if count == 1000 {
            break;
        }
    }
    drop(stop);
    println!("took 1000 squares, sum {sum}; the rest was cancelled");
    println!(
        "{} more came through until every stage had ended",
        squares.iter().count()
    );
}
