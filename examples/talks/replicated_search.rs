//! A replicated search: several replicas of each archive are asked at once, the first answer
//! counts, and there is a limit for the whole search.
//!
//! Go: a buffered channel for each query, so that the slower replicas do not hang, although they
//! continue to work. Here a done channel tells them that the answer is there: its sender is dropped
//! with the search, however the search ends.

use std::time::Duration;

use go_runtime::channel::{self, Receiver};
use go_runtime::{go, num_goroutines, select, time, yield_now};

const QUICK: Duration = Duration::from_millis(1);
const STUCK: Duration = Duration::from_secs(60);

/// Returns the first answer of replicas with these latencies. A replica gives up when its answer is
/// no longer wanted.
fn first(answer: &str, latencies: [Duration; 3], done: Receiver<()>) -> Receiver<String> {
    let (tx, rx) = channel::bounded(1);
    for latency in latencies {
        let answer = answer.to_owned();
        go!(clone(tx, done) {
            select! {
                recv(time::after(latency)) -> _ => {
                    let _ = tx.try_send(answer); // The second answer finds no room.
                }
                recv(done) -> _ => {}
            }
        });
    }
    rx
}

/// Asks all archives, for at most `limit`.
fn search(word: &str, letters: [Duration; 3], limit: Duration) -> Vec<String> {
    let (_until_the_end, done) = channel::bounded(0);
    let maps = [STUCK, QUICK, STUCK];
    let archives = [
        first(&format!("a map of {word}"), maps, done.clone()),
        first(&format!("letters from {word}"), letters, done),
    ];
    let limit = time::after(limit);
    let mut found = Vec::new();
    for archive in &archives {
        select! {
            recv(archive) -> answer => found.extend(answer),
            recv(limit) -> _ => break,
        }
    }
    found
}

#[go_runtime::main]
fn main() {
    let found = search("Malta", [QUICK, STUCK, STUCK], STUCK);
    println!("Malta: {found:?}");

    // All replicas of the letters are stuck, so only the answers that arrive in time count.
    let found = search("Samoa", [STUCK; 3], Duration::from_millis(500));
    println!("Samoa: {found:?}");

    while num_goroutines() > 1 {
        yield_now();
    }
    println!("nobody is left behind");
}
