//! Jobs for a pool of GOMAXPROCS goroutines, and who did how many: `cargo run --release --example worker_pool`

use std::collections::BTreeMap;
use std::thread;

use go_runtime::channel::bounded;
use go_runtime::{go, gomaxprocs};

/// How many steps Collatz' rule takes from `n` to 1.
fn steps(mut n: u64) -> u64 {
    let mut count = 0;
    while n != 1 {
        n = if n.is_multiple_of(2) {
            n / 2
        } else {
            3 * n + 1
        };
        count += 1;
    }
    count
}

#[go_runtime::main]
fn main() {
    let (jobs, todo) = bounded::<u64>(64);
    let (results, done) = bounded(64);
    for _ in 0..gomaxprocs() {
        drop(go!(clone(todo, results) {
            for n in todo {
                let worker = thread::current().name().unwrap_or("unnamed").to_owned();
                if results.send((n, steps(n), worker)).is_err() {
                    return;
                }
            }
        }));
    }
    drop((todo, results));
    drop(go! {
        for n in 1..=100_000 {
            if jobs.send(n).is_err() {
                return;
            }
        }
    });
    let mut shares = BTreeMap::new();
    let mut longest = (0, 0);
    for (n, steps, worker) in done {
        *shares.entry(worker).or_insert(0_u32) += 1;
        longest = longest.max((steps, n));
    }
    println!(
        "longest below 100001: {} takes {} steps",
        longest.1, longest.0
    );
    for (worker, count) in shares {
        println!("{worker} did {count}");
    }
}
