//! Go's concurrent prime sieve, a goroutine for each prime: `cargo run --release --example sieve [COUNT]`

use std::process::ExitCode;

use go_runtime::channel::bounded;
use go_runtime::go;

#[go_runtime::main]
fn main() -> ExitCode {
    let count = match std::env::args().nth(1).map(|arg| arg.parse::<usize>()) {
        None => 25,
        Some(Ok(count)) if count <= 5000 => count,
        Some(_) => {
            eprintln!("sieve: COUNT is how many primes to find, a whole number up to 5000");
            return ExitCode::from(2);
        }
    };
    let (tx, mut rx) = bounded(0);
    drop(go! {
        for n in 2_u64.. {
            if tx.send(n).is_err() {
                break;
            }
        }
    });
    for _ in 0..count {
        let Ok(prime) = rx.recv() else { break };
        println!("{prime}");
        let (next, filtered) = bounded(0);
        let numbers = std::mem::replace(&mut rx, filtered);
        drop(go! {
            for n in numbers {
                if n % prime != 0 && next.send(n).is_err() {
                    break;
                }
            }
        });
    }
    ExitCode::SUCCESS
}
