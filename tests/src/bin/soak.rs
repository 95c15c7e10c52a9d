//! Runs many goroutines that perform random operations for a long time:
//! `soak [--inside] [SECONDS] [LIVE] [SEED] [WITHOUT...]`. The defaults are three minutes and
//! 200,000 goroutines. `WITHOUT` names operations to leave out (`Deep`, `Pool`; see `Kind`). With
//! `--inside` a flight recorder is on, and each ten seconds the process writes a trace and a dump
//! to nowhere, and searches for leaks and deadlocks, of which there are none.
//!
//! It needs the system's default limit on mappings (`vm.max_map_count`), about four gigabytes of
//! memory, and the default `GOSTACK`. Growth of memory and mappings is checked in runs of ten
//! seconds or more.

use std::process::ExitCode;
use std::time::Duration;

use go_tests::soak::{Kind, Plan, run};

fn main() -> ExitCode {
    let plan = match plan() {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("usage: soak [--inside] [SECONDS] [LIVE] [SEED] [WITHOUT...] ({error})");
            return ExitCode::from(2);
        }
    };
    println!(
        "seed {}: {} goroutines for {:?}",
        plan.seed, plan.live, plan.time
    );
    match run(&plan) {
        Ok(account) => {
            println!(
                "{account}\nnothing lost, nothing grown (seed {})",
                plan.seed
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("FAILED (seed {}): {failure}", plan.seed);
            ExitCode::FAILURE
        }
    }
}

fn plan() -> Result<Plan, String> {
    let mut arguments = std::env::args().skip(1).peekable();
    let inside = arguments
        .next_if(|argument| argument == "--inside")
        .is_some();
    let mut next = |default: u64| {
        arguments.next().map_or(Ok(default), |text| {
            text.parse().map_err(|error| format!("{text}: {error}"))
        })
    };
    let (seconds, live, seed) = (next(180)?, next(200_000)?, next(fastrand::u64(..))?);
    let without = arguments
        .map(|name| Kind::of(&name).ok_or(format!("{name} is no kind of operation")))
        .collect::<Result<_, _>>()?;
    Ok(Plan {
        time: Duration::from_secs(seconds),
        live: live as usize,
        seed,
        without,
        inside,
    })
}
