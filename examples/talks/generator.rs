//! A generator: a function that starts a goroutine, and returns the channel of its results.
//!
//! Go: `func squares() <-chan int`; a caller that stops receiving leaves the goroutine behind,
//! unless there is a quit channel. Here the generator's `send` fails once the receiver is dropped,
//! and the goroutine ends.

use go_runtime::channel::{self, Receiver};
use go_runtime::{go, num_goroutines, yield_now};

/// Returns the rows of Pascal's triangle, without end.
fn pascal() -> Receiver<Vec<u64>> {
    let (tx, rx) = channel::bounded(0);
    go! {
        let mut row = vec![1];
        while tx.send(row.clone()).is_ok() {
            let sums = row.windows(2).map(|pair| pair[0] + pair[1]);
            row = [1].into_iter().chain(sums).chain([1]).collect();
        }
    };
    rx
}

#[go_runtime::main]
fn main() {
    for row in pascal().iter().take(5) {
        println!("{row:?}");
    }

    // Two generators are two services, each with its own state.
    let (a, b) = (pascal(), pascal());
    a.recv().unwrap();
    println!("{:?} beside {:?}", a.recv().unwrap(), b.recv().unwrap());

    // Without receivers the generators end; only `main` is left.
    drop((a, b));
    while num_goroutines() > 1 {
        yield_now();
    }
    println!("goroutines: {}", num_goroutines());
}
