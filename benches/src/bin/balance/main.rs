//! How evenly work is spread over the workers, and what is lost against an ideal spread.
//!
//! `cargo run --release -p go-benches --bin balance -- [--runs N] [--procs N] [WORKLOAD...]`: with GOMAXPROCS 2 and 4, or `--procs`, each
//! workload in 10 runs, each in a process of its own; the median run and the worst. The loss is wall time × CPUs / serial time - 1 where
//! there is a serial time, else the part of wall time × CPUs that was not computed; the CPUs are those of the machine, or GOMAXPROCS if that is
//! less. What a loaded machine takes away is in the loss: the row `threads`, the pool on plain threads, says how much that is.

mod workloads;

use std::env;
use std::process::ExitCode;
use std::thread;

use go_benches::figures::{self, Figures};
use go_benches::markdown::{line, table_head};
use go_benches::numbers::median;
use go_benches::options::parse;
use go_benches::peers::{load, machine};
use workloads::WORKLOADS;

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
    for procs in settings {
        let heads = [
            "workload",
            "serial, ms",
            "ms",
            "loss, median",
            "loss, worst",
            "least share, median",
            "shares, worst run",
        ];
        let title = format!("GOMAXPROCS {procs}, {} CPUs in use", procs.min(cpus));
        print!("{}", table_head(&title, &heads));
        let is_chosen = |name: &str| names.is_empty() || names.iter().any(|chosen| chosen == name);
        for workload in WORKLOADS.iter().filter(|workload| is_chosen(workload.name)) {
            let run = |_| {
                let mut child = figures::child()?;
                child.arg(workload.name);
                child.env("GOMAXPROCS", procs.to_string());
                let figures = figures::measure(&mut child)?;
                Ok(Run::of(&figures, procs, cpus))
            };
            let all: Result<Vec<Run>, String> = (0..runs).map(run).collect();
            let all = all.map_err(|error| format!("{}: {error}", workload.name))?;
            print!("{}", line(&row(workload.name, &all)));
        }
    }
    println!();
    for workload in &WORKLOADS {
        println!("- {}: {}", workload.name, workload.what);
    }
    Ok(())
}

/// What one run came to.
struct Run {
    serial_ns: f64,
    ns: f64,
    /// In percent.
    loss: f64,
    /// Of each worker, in percent, the largest first; those that have done nothing are among them.
    shares: Vec<f64>,
}

impl Run {
    fn of(figures: &Figures, procs: usize, cpus: usize) -> Run {
        let (ns, serial_ns) = (figures.get("ns"), figures.get("serial_ns"));
        let ideal = procs.min(cpus) as f64;
        let loss = if serial_ns.is_nan() {
            1.0 - figures.get("cpu_ns") / (ns * ideal)
        } else {
            ns * ideal / serial_ns - 1.0
        };
        Run {
            serial_ns,
            ns,
            loss: loss * 100.0,
            shares: shares(figures.list("work"), procs),
        }
    }
}

fn shares(mut work: Vec<f64>, procs: usize) -> Vec<f64> {
    let total: f64 = work.iter().sum();
    work.retain(|work| *work > 0.0);
    work.resize(work.len().max(procs), 0.0);
    work.sort_by(|a, b| b.total_cmp(a));
    work.iter().map(|work| work / total * 100.0).collect()
}

fn row(name: &str, runs: &[Run]) -> [String; 7] {
    let middle = |of: fn(&Run) -> f64| median(runs.iter().map(of).collect()).unwrap_or(f64::NAN);
    let worst = runs.iter().max_by(|a, b| a.loss.total_cmp(&b.loss));
    let least = middle(|run| run.shares.last().copied().unwrap_or(f64::NAN));
    let shares = worst.iter().flat_map(|run| &run.shares);
    let shares: Vec<String> = shares.map(|share| format!("{share:.0}")).collect();
    let ms = |ns: f64| match ns {
        _ if ns.is_nan() => "-".into(),
        _ => format!("{:.1}", ns / 1e6),
    };
    [
        name.into(),
        ms(middle(|run| run.serial_ns)),
        ms(middle(|run| run.ns)),
        format!("{:.1} %", middle(|run| run.loss)),
        format!("{:.1} %", worst.map_or(f64::NAN, |run| run.loss)),
        format!("{least:.0} %"),
        shares.join(" : "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_what_an_ideal_spread_would_not_take() {
        let figures = |text| Run::of(&Figures::parse(text), 4, 2);
        let serial = figures("ns 600\nserial_ns 1000\ncpu_ns 1000\nwork_0 1\nwork_1 0\nwork_2 3");
        assert_eq!(serial.loss.round(), 20.0);
        assert_eq!(serial.shares, [75.0, 25.0, 0.0, 0.0]);
        assert_eq!(figures("ns 500\ncpu_ns 900").loss.round(), 10.0);
    }

    #[test]
    fn a_row_has_the_median_run_and_the_worst() {
        let run = |loss, shares: &[f64]| Run {
            serial_ns: f64::NAN,
            ns: 2e6,
            loss,
            shares: shares.to_vec(),
        };
        let runs = [
            run(1.0, &[51.0, 49.0]),
            run(90.0, &[99.0, 1.0]),
            run(3.0, &[60.0, 40.0]),
        ];
        let row = row("pool", &runs);
        assert_eq!(row[1..], ["-", "2.0", "3.0 %", "90.0 %", "40 %", "99 : 1"]);
    }
}
