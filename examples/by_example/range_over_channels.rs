//! A receiver is an iterator: it waits for each message, and ends when the channel is closed and
//! empty.
//!
//! Go: `for v := range ch`. Here: `for v in rx`, and all of Rust's iterator methods; `&rx` leaves
//! the receiver to its owner, and `try_iter` takes the messages that are there and does not wait.

use go_runtime::channel::{self, Receiver};
use go_runtime::go;

fn tides() -> Receiver<i32> {
    let (tx, rx) = channel::bounded(2);
    go! {
        for centimetres in [310, -120, 295, -105] {
            tx.send(centimetres).unwrap();
        }
        // Here `tx` is dropped, which ends the loops below.
    };
    rx
}

#[go_runtime::main]
fn main() {
    for tide in tides() {
        println!("{tide} cm");
    }

    let high: Vec<i32> = tides().into_iter().filter(|tide| *tide > 0).collect();
    println!("high tides: {high:?}");

    let rx = tides();
    let first: i32 = rx.iter().take(2).sum();
    let rest: i32 = rx.iter().sum();
    println!("the first two {first}, the others {rest}");

    let (tx, rx) = channel::unbounded();
    tx.send(1).unwrap();
    tx.send(2).unwrap();
    println!("there now: {:?}", rx.try_iter().collect::<Vec<i32>>());
}
