//! Fan-in: two channels become one, so that a receiver does not wait for the slower one; first with
//! a goroutine for each channel, then with one goroutine and `select!`.
//!
//! Go: the same two functions, neither of which ends when its inputs do. Here both end: the first
//! with the last sender, the second by counting the open inputs; `never` switches a closed arm off,
//! where Go uses a nil channel.

use std::time::Duration;

use go_runtime::channel::{self, Receiver};
use go_runtime::{go, select, time};

fn station(name: &'static str, every: Duration) -> Receiver<String> {
    let (tx, rx) = channel::bounded(0);
    go! {
        for report in 1..=3 {
            time::sleep(every);
            tx.send(format!("{name}: report {report}")).unwrap();
        }
    };
    rx
}

/// Merges any number of inputs.
fn fan_in<T: Send + 'static>(inputs: impl IntoIterator<Item = Receiver<T>>) -> Receiver<T> {
    let (tx, rx) = channel::bounded(0);
    for input in inputs {
        go!(clone(tx) {
            for message in input {
                if tx.send(message).is_err() {
                    break;
                }
            }
        });
    }
    rx
}

/// Merges two inputs, in one goroutine.
fn fan_in_by_select<T: Send + 'static>(mut a: Receiver<T>, mut b: Receiver<T>) -> Receiver<T> {
    let (tx, rx) = channel::bounded(0);
    go! {
        let mut open = 2;
        while open > 0 {
            let message = select! {
                recv(a) -> message => message.inspect_err(|_| a = channel::never()),
                recv(b) -> message => message.inspect_err(|_| b = channel::never()),
            };
            match message {
                Ok(message) => if tx.send(message).is_err() { break },
                Err(_) => open -= 1,
            }
        }
    };
    rx
}

#[go_runtime::main]
fn main() {
    let (quick, slow) = (Duration::from_millis(1), Duration::from_millis(3));
    for report in fan_in([station("coast", quick), station("hills", slow)]) {
        println!("{report}");
    }
    for report in fan_in_by_select(station("north", quick), station("south", slow)) {
        println!("{report}");
    }
}
