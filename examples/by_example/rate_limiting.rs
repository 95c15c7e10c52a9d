//! Rate limiting: requests are served no faster than a ticker allows, but a few may be served at
//! once.
//!
//! Go: `time.Tick`, and a buffered channel that a goroutine refills. Here it is the same; the
//! goroutine that refills the channel ends when the channel has no receiver any more.

use std::time::{Duration, Instant};

use go_runtime::channel::{self, Receiver};
use go_runtime::{go, time};

const PERIOD: Duration = Duration::from_millis(5);

/// Returns a channel that holds `burst` permits, and gets another one every `PERIOD`.
fn permits(burst: usize) -> Receiver<()> {
    let (tx, rx) = channel::bounded(burst);
    for _ in 0..burst {
        tx.send(()).unwrap();
    }
    go! {
        for _ in time::tick(PERIOD) {
            if tx.send(()).is_err() {
                break;
            }
        }
    };
    rx
}

#[go_runtime::main]
fn main() {
    // A steady rate: a tick for each request.
    let start = Instant::now();
    for (request, _) in (1..=5).zip(&time::tick(PERIOD)) {
        println!("steady: request {request}");
    }
    println!("no faster than that: {}", start.elapsed() >= 5 * PERIOD);

    // Three requests are served at once, the others at the steady rate.
    let start = Instant::now();
    for (request, ()) in (1..=5).zip(&permits(3)) {
        println!("in a burst: request {request}");
    }
    println!("two had to wait: {}", start.elapsed() >= 2 * PERIOD);
}
