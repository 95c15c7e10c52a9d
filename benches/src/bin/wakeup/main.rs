//! How long a goroutine takes from being woken to running, and what a program computes that has
//! nothing to do.
//!
//! `cargo run --release -p go-benches --bin wakeup -- [--runs N] [CASE...]`: with 2 workers, each
//! case in 3 runs, each in a process of its own; medians, and of the longest times the longest.

mod cases;

use std::env;
use std::process::ExitCode;

use cases::{CASES, Case, Kind};
use go_benches::figures::{self, Figures};
use go_benches::markdown::{line, table_head};
use go_benches::numbers::short;
use go_benches::options::parse;
use go_benches::peers::{load, machine};

const USAGE: &str = "usage: wakeup [--runs N] [CASE...]";
const WORKERS: &str = "2";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["child", name] => cases::find(name).and_then(|case| (case.run)()),
        _ => measure_all(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wakeup: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all() -> Result<(), String> {
    let mut runs = 3;
    let names = parse(
        env::args().skip(1),
        USAGE,
        &mut [("--runs", &mut runs)],
        &mut [],
    )?;
    for name in &names {
        cases::find(name)?;
    }
    let is_chosen = |case: &&Case| names.is_empty() || names.iter().any(|name| name == case.name);
    let (mut latencies, mut usages) = (Vec::new(), Vec::new());
    for case in CASES.iter().filter(is_chosen) {
        eprintln!("wakeup: {}", case.name);
        let figures = medians(case, runs).map_err(|error| format!("{}: {error}", case.name))?;
        match case.kind {
            Kind::Latency => latencies.push((case, figures)),
            Kind::Usage => usages.push((case, figures)),
        }
    }

    println!(
        "{}, load {} at the start; {WORKERS} workers, medians of {runs} runs, the longest of all.",
        machine()?,
        load()?
    );
    table(
        "From a send to the woken goroutine, ns",
        &["where it was", "median", "99 %", "longest"],
        &latencies,
        |figures| ["median_ns", "p99_ns", "max_ns"].map(|key| short(figures.get(key))),
    );
    table(
        "CPU time",
        &["what goes on", "% of a core"],
        &usages,
        |figures| [format!("{:.3}", figures.get("percent"))],
    );
    Ok(())
}

fn medians(case: &Case, runs: usize) -> Result<Figures, String> {
    let run = |_| {
        let mut child = figures::child()?;
        figures::measure(child.arg(case.name).env("GOMAXPROCS", WORKERS))
    };
    let runs: Vec<Figures> = (0..runs).map(run).collect::<Result<_, String>>()?;
    let mut medians = Figures::medians(&runs).ok_or("no runs")?;
    let longest = runs.iter().map(|run| run.get("max_ns"));
    medians.set("max_ns", longest.fold(f64::NAN, f64::max));
    Ok(medians)
}

fn table<const N: usize>(
    title: &str,
    heads: &[&str],
    rows: &[(&Case, Figures)],
    cells: impl Fn(&Figures) -> [String; N],
) {
    if rows.is_empty() {
        return;
    }
    print!("{}", table_head(title, heads));
    for (case, figures) in rows {
        let mut row = vec![format!("{}: {}", case.name, case.what)];
        row.extend(cells(figures));
        print!("{}", line(&row));
    }
}
