//! How evenly work is spread over the workers, and what is lost against an ideal spread.
//!
//! `cargo run --release -p go-benches --bin balance -- [--runs N] [--procs N]
//! [WORKLOAD...]`: with GOMAXPROCS 2 and 4, or `--procs`, each workload in 10 runs in turn, each in
//! a process of its own; the median run and the worst. The loss is wall time * CPUs / serial time -
//! 1 where there is a serial time, else the part of wall time * CPUs that was not computed; the
//! CPUs are those of the machine, or GOMAXPROCS if that is less. What a loaded machine takes away
//! is in the loss: the row `threads`, the pool on plain threads, says how much that is, and a
//! column by how much the others' time, in terms of the serial one, exceeds that of the same
//! round's threads.

mod runs;
mod workloads;

use std::env;
use std::process::ExitCode;
use std::thread;

use go_benches::figures::{self, Figures};
use go_benches::markdown::{line, table_head};
use go_benches::options::parse;
use go_benches::peers::{load, machine};
use runs::{HEADS, Run, row};
use workloads::{THREADS, WORKLOADS, Workload};

const USAGE: &str = "usage: balance [--runs N] [--procs N] [WORKLOAD...]";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["child", name] => workloads::measure(name),
        _ => measure_all(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("balance: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all() -> Result<(), String> {
    let (mut runs, mut procs) = (10, 0);
    let names = parse(
        env::args().skip(1),
        USAGE,
        &mut [("--runs", &mut runs), ("--procs", &mut procs)],
        &mut [],
    )?;
    for name in &names {
        workloads::find(name)?;
    }
    let settings = match procs {
        0 => vec![2, 4],
        n => vec![n],
    };
    println!(
        "{}, load {} at the start; {runs} runs each.",
        machine()?,
        load()?
    );
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let is_chosen =
        |workload: &&Workload| names.is_empty() || names.iter().any(|name| name == workload.name);
    let chosen: Vec<&Workload> = WORKLOADS.iter().filter(is_chosen).collect();
    for procs in settings {
        let title = format!("GOMAXPROCS {procs}, {} CPUs in use", procs.min(cpus));
        let mut all: Vec<Vec<Run>> = chosen.iter().map(|_| Vec::new()).collect();
        for round in 1..=runs {
            eprintln!("balance: GOMAXPROCS {procs}, round {round} of {runs}");
            for (workload, runs) in chosen.iter().zip(&mut all) {
                let figures = measure(workload, procs);
                let figures = figures.map_err(|error| format!("{}: {error}", workload.name))?;
                runs.push(Run::of(&figures, procs, cpus));
            }
        }
        print!("{}", table_head(&title, &HEADS));
        let threads = chosen.iter().position(|workload| workload.name == THREADS);
        let threads = threads.map(|i| &all[i][..]);
        for (workload, runs) in chosen.iter().zip(&all) {
            print!("{}", line(&row(workload.name, runs, threads)));
        }
    }
    println!();
    for workload in chosen {
        println!("- {}: {}", workload.name, workload.what);
    }
    Ok(())
}

fn measure(workload: &Workload, procs: usize) -> Result<Figures, String> {
    let mut child = figures::child()?;
    child.arg(workload.name);
    figures::measure(child.env("GOMAXPROCS", procs.to_string()))
}
