//! A worker pool: GOMAXPROCS goroutines take jobs from one channel, and send the results through
//! another.
//!
//! Go: the same, but the program has to count results to know when to stop, or close their channel
//! after a WaitGroup. Here the results end with the last worker, which drops its sender.
//!
//! ```sh
//! cargo run --release --example worker_pools
//! ```
//!
//! A job is to find the longest Collatz sequence (halve n if it is even, or else take 3n + 1, until
//! n is 1) that starts in a range of numbers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::thread;

use go_runtime::channel::{self, Receiver, Sender};
use go_runtime::{go, gomaxprocs};

const NUMBERS: u64 = 1_000_000;
const JOB: u64 = 1_000;

struct Found {
    steps: u32,
    number: u64,
    /// The thread of the worker that did the job.
    thread: String,
}

fn steps(mut n: u64) -> u32 {
    let mut steps = 0;
    while n != 1 {
        n = if n.is_multiple_of(2) {
            n / 2
        } else {
            3 * n + 1
        };
        steps += 1;
    }
    steps
}

fn work(jobs: Receiver<Range<u64>>, results: Sender<Found>) {
    let thread = thread::current().name().unwrap_or("unnamed").to_owned();
    for job in jobs {
        // Of several sequences of the same length, the first one.
        let (steps, number) =
            job.map(|n| (steps(n), n)).fold(
                (0, 0),
                |best, this| if this.0 > best.0 { this } else { best },
            );
        let found = Found {
            steps,
            number,
            thread: thread.clone(),
        };
        if results.send(found).is_err() {
            return;
        }
    }
}

#[go_runtime::main]
fn main() {
    let (job_tx, jobs) = channel::bounded(16);
    let (result_tx, results) = channel::bounded(16);
    for _ in 0..gomaxprocs() {
        go!(work(jobs.clone(), result_tx.clone()));
    }
    // The workers have their own clones; when all workers have ended, the results end.
    drop((jobs, result_tx));

    go! {
        for start in (1..=NUMBERS).step_by(JOB as usize) {
            if job_tx.send(start..start + JOB).is_err() {
                return;
            }
        }
        // `job_tx` is dropped here, which closes the channel: the workers finish the remaining
        // jobs, and end.
    };

    let mut jobs_of = BTreeMap::new();
    let mut best: Option<Found> = None;
    for found in &results {
        *jobs_of.entry(found.thread.clone()).or_insert(0) += 1;
        let better = best
            .as_ref()
            .is_none_or(|best| (found.steps, best.number) > (best.steps, found.number));
        if better {
            best = Some(found);
        }
    }

    println!("{} workers, {} jobs", gomaxprocs(), NUMBERS / JOB);
    for (thread, jobs) in &jobs_of {
        println!("  {thread}: {jobs} jobs");
    }
    if let Some(Found { steps, number, .. }) = best {
        println!("longest Collatz sequence up to {NUMBERS}: {steps} steps from {number}");
    }
}
