//! Fan-out and fan-in: several goroutines receive from one channel, and send their results to
//! another.
//!
//! Go: a `merge` with a goroutine for each result channel and a WaitGroup to close the output. Here
//! both ends of a channel can be cloned, so the goroutines share one output, which is closed when
//! the last of them ends.

use go_runtime::channel::{self, Receiver};
use go_runtime::{go, gomaxprocs};

fn numbers(up_to: u64) -> Receiver<u64> {
    let (tx, rx) = channel::bounded(64);
    go! {
        for n in 1..=up_to {
            if tx.send(n).is_err() {
                break;
            }
        }
    };
    rx
}

/// Returns whether a number is the sum of its proper divisors.
fn is_perfect(n: u64) -> bool {
    n > 1 && (1..=n / 2).filter(|d| n.is_multiple_of(*d)).sum::<u64>() == n
}

/// Forwards the perfect numbers, with a goroutine for each CPU.
fn perfect(numbers: Receiver<u64>) -> Receiver<u64> {
    let (tx, rx) = channel::bounded(64);
    for _ in 0..gomaxprocs() {
        go!(clone(tx, numbers) {
            for n in numbers {
                if is_perfect(n) && tx.send(n).is_err() {
                    break;
                }
            }
        });
    }
    rx
}

#[go_runtime::main]
fn main() {
    let mut found: Vec<u64> = perfect(numbers(2_000)).iter().collect();
    found.sort(); // The results arrive in the order in which they are found.
    println!("perfect: {found:?}");
}
