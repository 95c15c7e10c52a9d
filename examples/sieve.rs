//! Go's concurrent prime sieve: a chain of goroutines, one for each prime, that forwards the
//! numbers that its prime does not divide.
//!
//! ```sh
//! cargo run --release --example sieve          # the first 25 primes
//! cargo run --release --example sieve -- 1000
//! ```
//!
//! In Go the goroutines are left behind when `main` has its primes. Here each goroutine ends when
//! the next one does: dropping the last receiver closes its channel, so the sending goroutine ends
//! and drops its own receiver, and so on back to the generator.

use std::env;
use std::process::ExitCode;

use go_runtime::channel::{self, Receiver, Sender};
use go_runtime::go;

const DEFAULT: usize = 25;
/// Maximum number of primes. Each prime is a goroutine, and every number passes through the
/// goroutines of all smaller primes: more would take minutes.
const MOST: usize = 10_000;

/// Sends 2, 3, 4 and so on, until the receiver is gone.
pub(crate) fn generate(tx: Sender<u32>) {
    for n in 2.. {
        if tx.send(n).is_err() {
            return;
        }
    }
}

/// Forwards the numbers that `prime` does not divide, until one of its neighbors is gone.
pub(crate) fn filter(rx: Receiver<u32>, tx: Sender<u32>, prime: u32) {
    for n in rx {
        if !n.is_multiple_of(prime) && tx.send(n).is_err() {
            return;
        }
    }
}

#[go_runtime::main]
fn main() -> ExitCode {
    let count = match count() {
        Ok(count) => count,
        Err(error) => {
            eprintln!("sieve: {error}");
            return ExitCode::from(2);
        }
    };

    let (tx, mut rx) = channel::bounded(0);
    let mut chain = vec![go!(generate(tx))];
    for _ in 0..count {
        let Ok(prime) = rx.recv() else { break };
        println!("{prime}");
        let (tx, next) = channel::bounded(0);
        chain.push(go!(filter(rx, tx, prime)));
        rx = next;
    }

    drop(rx);
    let length = chain.len();
    let ended = chain.into_iter().map(|goroutine| goroutine.join());
    let ended = ended.filter(Result::is_ok).count();
    eprintln!("{ended} of {length} goroutines have ended by themselves");
    ExitCode::SUCCESS
}

/// Returns how many primes are requested.
fn count() -> Result<usize, String> {
    let mut args = env::args_os().skip(1);
    let Some(arg) = args.next() else {
        return Ok(DEFAULT);
    };
    if args.next().is_some() {
        return Err("usage: sieve [COUNT]".to_owned());
    }
    let number = arg.to_str().and_then(|text| text.parse().ok());
    number
        .filter(|count| *count <= MOST)
        .ok_or_else(|| format!("COUNT is a number from 0 to {MOST}, not {arg:?}"))
}
