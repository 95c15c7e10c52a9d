//! Measures whether the cost of an operation (a yield, a message, a spawn) grows with the number of
//! goroutines.
//!
//! `cargo run --release -p go-benches --bin scale -- [--most N] [--runs N] [--workers N] [--save]
//! [OPERATION...]`: each operation among 10, 1,000, 100,000 and 1,000,000 goroutines, or up to
//! `--most`; medians of 3 runs on 2 workers, each run in a process of its own. A million goroutines
//! take some 4.3 GB. `--save` writes the figures to `results/scale.csv`; `report.py` draws its
//! chart.
//!
//! `ns` is the time of an operation of all workers together, `cpu_ns` the CPU time of all threads.

mod tally;
mod workloads;

use std::env;
use std::process::ExitCode;

use go_benches::figures::{Figures, child, measure, median};
use go_benches::options::{count, parse};
use go_benches::peers::{machine, save};

const USAGE: &str = "usage: scale [--most N] [--runs N] [--workers N] [--save] \
                     [yield|ring|spawn]...";
const SIZES: [usize; 4] = [10, 1_000, 100_000, 1_000_000];

/// A function that measures an operation in this process, among this number of goroutines.
type Measure = fn(usize) -> Result<(), String>;

static OPERATIONS: [(&str, Measure); 3] = [
    // All goroutines yield in turn.
    ("yield", workloads::yields),
    // Four tokens go round a ring over unbuffered channels; an operation is one hop.
    ("ring", workloads::ring),
    // 100,000 empty goroutines and a `WaitGroup` beside parked goroutines, of which there are none
    // at the first size.
    ("spawn", workloads::spawns),
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    go_benches::exit(match args[..] {
        ["child", name, n] => operation(name).and_then(|(_, measure)| measure(count(n)?)),
        _ => measure_all(),
    })
}

fn operation(name: &str) -> Result<(&'static str, Measure), String> {
    let operation = OPERATIONS.iter().find(|operation| operation.0 == name);
    operation
        .copied()
        .ok_or_else(|| format!("no operation {name}; {USAGE}"))
}

fn measure_all() -> Result<(), String> {
    let (mut most, mut runs, mut workers, mut saved) = (usize::MAX, 3, 2, false);
    let names = parse(
        env::args().skip(1),
        USAGE,
        &mut [
            ("--most", &mut most),
            ("--runs", &mut runs),
            ("--workers", &mut workers),
        ],
        &mut [("--save", &mut saved)],
    )?;
    let mut chosen = OPERATIONS.to_vec();
    if !names.is_empty() {
        let named = names.iter().map(|name| operation(name));
        chosen = named.collect::<Result<_, _>>()?;
    }
    println!("{}; medians of {runs} runs", machine(&[])?);
    let mut csv = String::from("operation,goroutines,workers,ns,cpu_ns\n");
    print!("{csv}");
    for (name, _) in chosen {
        for n in SIZES.into_iter().filter(|n| *n <= most) {
            let run = |_| {
                let mut child = child()?;
                child.args([name, &n.to_string()]);
                measure(child.env("GOMAXPROCS", workers.to_string()))
            };
            let runs: Result<Vec<Figures>, String> = (0..runs).map(run).collect();
            let runs = runs.map_err(|error| format!("{name} among {n}: {error}"))?;
            let [ns, cpu_ns] = ["ns", "cpu_ns"].map(|key| median(&runs, key));
            let line = format!("{name},{n},{workers},{ns:.1},{cpu_ns:.1}\n");
            print!("{line}");
            csv += &line;
        }
    }
    if saved {
        save("results/scale.csv", &csv)?;
    }
    Ok(())
}
