//! Closing: receivers learn that no more messages will come, once they have received all that were
//! sent.
//!
//! Go: `close(ch)` and `v, ok := <-ch`. Here dropping the last sender closes the channel, and
//! `close` does so earlier. A send on a closed channel returns an error, and closing it again does
//! nothing; neither panics.

use go_runtime::channel::{self, Receiver};
use go_runtime::go;

fn work(jobs: Receiver<u32>) -> u32 {
    let mut done = 0;
    // Go's `v, ok`: an `Err` when the channel is closed and empty.
    while let Ok(job) = jobs.recv() {
        println!("job {job}");
        done += 1;
    }
    done
}

#[go_runtime::main]
fn main() {
    // Closed by dropping the last sender.
    let (tx, jobs) = channel::bounded(5);
    let worker = go!(work(jobs));
    for job in 1..=3 {
        tx.send(job).unwrap();
    }
    drop(tx);
    let done = worker.join().unwrap();
    println!("{done} jobs are done");

    // Closed explicitly, while senders are left. Buffered messages can still be received.
    let (tx, jobs) = channel::bounded(5);
    let other = tx.clone();
    tx.send(4).unwrap();
    tx.close();
    tx.close();
    println!("a send after that: {:?}", other.send(5));
    let rest = work(jobs);
    println!("{rest} more");
}
