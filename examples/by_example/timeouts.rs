//! Timeouts: waiting for an answer for a limited time.
//!
//! Go: `case <-time.After(d)`. Here that is `recv(time::after(d))`; shorter forms are `default(d)`
//! in a `select!` and, for one channel, `recv_timeout`. As in Go, a goroutine that is late is not
//! killed: room for its answer in the channel lets it end, or a done channel tells it to.

use std::time::Duration;

use go_runtime::channel::{self, Receiver};
use go_runtime::{go, select, time};

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

fn ask(oracle: &'static str, takes: Duration) -> Receiver<String> {
    let (tx, rx) = channel::bounded(1);
    go! {
        time::sleep(takes);
        // Does not wait, and ignores that the receiver may be gone.
        let _ = tx.send(format!("{oracle} says yes"));
    };
    rx
}

#[go_runtime::main]
fn main() {
    let slow = ask("the slow one", LONG);
    select! {
        recv(slow) -> answer => println!("{}", answer.unwrap()),
        default(SOON) => println!("the slow one has not answered in time"),
    }

    let quick = ask("the quick one", Duration::ZERO);
    select! {
        recv(quick) -> answer => println!("{}", answer.unwrap()),
        default(LONG) => println!("the quick one has not answered in time"),
    }

    // One limit for several answers: the channel is made once, before the loop.
    let limit = time::after(SOON);
    let mut answers = 0;
    let oracles = [ask("a", LONG), ask("b", LONG)];
    for oracle in &oracles {
        select! {
            recv(oracle) -> _ => answers += 1,
            recv(limit) -> _ => break,
        }
    }
    println!("{answers} of {} answers within the limit", oracles.len());

    println!("for one channel: {:?}", slow.recv_timeout(SOON));

    // A function that learns through `done` that its time is over.
    let result = time::timeout(SOON, |done| done.recv());
    println!("for a function: {result:?}");
}
