//! Whether the cost of an operation grows with the number of goroutines: yields, messages, spawns,
//! timers.
//!
//! `cargo run --release -p go-benches --bin scale -- [--most N] [--runs N] [--procs N] [--save]
//! [OPERATION...]`: each operation among 10, 1,000, 100,000 and 1,000,000 goroutines, or up to
//! `--most`; medians of 3 runs on 2 workers, each run in a process of its own. A million goroutines
//! take some 4.3 GB. `--save` writes the tables and a chart to `results/` too.

mod chart;
mod report;
mod workloads;

use std::env;
use std::fs;
use std::process::ExitCode;

use go_benches::figures::{self, Figures};
use go_benches::options::{count, parse};
use go_benches::peers::{load, machine, manifest};

const USAGE: &str =
    "usage: scale [--most N] [--runs N] [--procs N] [--save] [yield|ring|pairs|spawn|timers]...";
const SIZES: [usize; 4] = [10, 1_000, 100_000, 1_000_000];

pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Measures it in this process, among so many goroutines.
    measure: fn(usize) -> Result<(), String>,
}

static OPERATIONS: [Operation; 5] = [
    Operation {
        name: "yield",
        what: "all goroutines yield in turn",
        measure: workloads::yields,
    },
    Operation {
        name: "ring",
        what: "4 tokens go round a ring over unbuffered channels, a hop",
        measure: workloads::ring,
    },
    Operation {
        name: "pairs",
        what: "all goroutines talk in pairs over unbuffered channels, a message",
        measure: workloads::pairs,
    },
    Operation {
        name: "spawn",
        what: "100,000 empty goroutines and a WaitGroup beside parked ones",
        measure: workloads::spawns,
    },
    Operation {
        name: "timers",
        what: "all goroutines sleep for 1 to 50 ms, time and again",
        measure: workloads::timers,
    },
];

/// The medians of an operation's runs, at each size.
pub(crate) struct Row {
    pub(crate) operation: &'static Operation,
    pub(crate) points: Vec<(usize, Figures)>,
}

struct Options {
    most: usize,
    runs: usize,
    procs: usize,
    save: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["child", name, n] => operation(name).and_then(|operation| (operation.measure)(count(n)?)),
        _ => measure_all(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scale: {error}");
            ExitCode::FAILURE
        }
    }
}

fn operation(name: &str) -> Result<&'static Operation, String> {
    let operation = OPERATIONS.iter().find(|operation| operation.name == name);
    operation.ok_or_else(|| format!("no operation {name}; {USAGE}"))
}

fn measure_all() -> Result<(), String> {
    let mut options = Options {
        most: SIZES[SIZES.len() - 1],
        runs: 3,
        procs: 2,
        save: false,
    };
    let names = parse(
        env::args().skip(1),
        USAGE,
        &mut [
            ("--most", &mut options.most),
            ("--runs", &mut options.runs),
            ("--procs", &mut options.procs),
        ],
        &mut [("--save", &mut options.save)],
    )?;
    let chosen = match names[..] {
        [] => OPERATIONS.iter().collect(),
        _ => names
            .iter()
            .map(|name| operation(name))
            .collect::<Result<Vec<_>, _>>()?,
    };
    let sizes: Vec<usize> = SIZES.into_iter().filter(|n| *n <= options.most).collect();
    if sizes.is_empty() {
        return Err(format!("--most: {} is the smallest number", SIZES[0]));
    }

    let (machine, load) = (machine()?, load()?);
    let runs = match options.runs {
        1 => "1 run".into(),
        n => format!("medians of {n} runs"),
    };
    let runs = format!("{runs}, {} workers", options.procs);
    let mut rows = Vec::new();
    for operation in chosen {
        let mut points = Vec::new();
        for &n in &sizes {
            eprintln!("scale: {} among {n}", operation.name);
            points.push((n, medians(operation, n, &options)?));
        }
        rows.push(Row { operation, points });
    }

    let text = format!(
        "{machine}, load {load} at the start; {runs}.\n{}",
        report::report(&rows, &sizes)
    );
    println!("{text}");
    if options.save {
        let svg = chart::chart(&rows, [&runs, &machine]);
        let text = format!(
            "# Among so many\n\n![CPU time of an operation by the number of \
             goroutines](scale.svg)\n\n{text}"
        );
        let results = manifest("results");
        let error = |error| format!("{}: {error}", results.display());
        fs::create_dir_all(&results).map_err(error)?;
        fs::write(results.join("scale.svg"), svg).map_err(error)?;
        fs::write(results.join("scale.md"), text).map_err(error)?;
        eprintln!("scale: written to {}", results.display());
    }
    Ok(())
}

fn medians(operation: &Operation, n: usize, options: &Options) -> Result<Figures, String> {
    let run = |_| {
        let mut child = figures::child()?;
        child.args([operation.name, &n.to_string()]);
        figures::measure(child.env("GOMAXPROCS", options.procs.to_string()))
    };
    let runs: Result<Vec<Figures>, String> = (0..options.runs).map(run).collect();
    let runs = runs.map_err(|error| format!("{} among {n}: {error}", operation.name))?;
    Figures::medians(&runs).ok_or_else(|| "no runs".into())
}
