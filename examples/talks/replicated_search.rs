//! A replicated search: several replicas of each archive are asked at once, the first answer counts, and there is a limit
//! for the whole.
//!
//! Go: a buffered channel for each query, so that those who lose do not hang, though they work on. Here they are told by a done
//! channel that the answer is there: its sender is dropped with the search, whichever way that ends.

use std::time::Duration;

use go_runtime::channel::{self, Receiver, Sender};
use go_runtime::{go, num_goroutine, select, time, yield_now};

const QUICK: Duration = Duration::from_millis(1);
const STUCK: Duration = Duration::from_secs(60);

/// A replica takes its time, and gives up when nobody wants its answer any more.
fn replica(answer: String, latency: Duration, answers: Sender<String>, done: Receiver<()>) {
    select! {
        recv(time::after(latency)) -> _ => drop(answers.try_send(answer)),
        recv(done) -> _ => {}
    }
}

/// The first answer of the replicas with these latencies.
fn first(answer: &str, latencies: &[Duration], done: &Receiver<()>) -> Receiver<String> {
    let (tx, rx) = channel::bounded(1);
    for latency in latencies {
        go!(replica(
            answer.to_owned(),
            *latency,
            tx.clone(),
            done.clone()
        ));
    }
    rx
}

/// Asks all archives, for at most `limit`.
fn search(word: &str, letters: [Duration; 3], limit: Duration) -> Vec<String> {
    let (_until_the_end, done) = channel::bounded(0);
    let archives = [
        first(&format!("a map of {word}"), &[STUCK, QUICK, STUCK], &done),
        first(&format!("letters from {word}"), &letters, &done),
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
    println!("{:?}", search("Malta", [QUICK, STUCK, STUCK], STUCK));
    println!(
        "{:?}",
        search("Samoa", [STUCK; 3], Duration::from_millis(500))
    );
    while num_goroutine() > 1 {
        yield_now();
    }
    println!("nobody is left behind");
}
