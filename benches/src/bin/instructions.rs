//! Counts the instructions of an operation under callgrind, which gives the same count on every
//! machine, loaded or not: `cargo run --release -p go-benches --bin instructions
//! [-- --check | --save]`.
//!
//! With `--save` it writes `instructions.txt`. With `--check` it compares the counts with that
//! file, and fails if an operation takes over 5 % more, or over 5 % less: an improvement has to be
//! saved, or else losing it again would go unnoticed. Counts depend on the compiler and on the
//! processor's architecture. The file names both, and is compared only with counts for the same
//! ones.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use go_benches::peers::build_ours;
use go_benches::table::workload;

/// The operations that are counted: a workload of `ours`, and what one operation of it is.
const OPERATIONS: [(&str, &str); 7] = [
    (
        "spawn_join",
        "spawn an empty goroutine, run it, count it as done",
    ),
    ("yield1000", "yield to others, a thousand of them"),
    (
        "pingpong_local",
        "a round trip over two unbuffered channels",
    ),
    ("ring", "a hop from goroutine to goroutine"),
    ("spsc128", "a message through a buffer"),
    ("select3", "a message through a select over three channels"),
    ("mutex8", "lock and unlock, among eight"),
];
/// Divisors of the table's count. Each operation runs with both counts, and the difference does not
/// include the cost of the start.
const DIVISORS: [usize; 2] = [100, 50];
/// Relative deviation, in either direction, above which a count has changed.
const TOLERANCE: f64 = 0.05;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => count().map(|text| print!("{text}")),
        ["--save"] => count().and_then(|text| write(&text)),
        ["--check"] => check(),
        _ => Err("usage: instructions [--check | --save]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt")
}

fn write(text: &str) -> Result<(), String> {
    print!("{text}");
    fs::write(file(), text).map_err(|error| format!("{}: {error}", file().display()))
}

fn check() -> Result<(), String> {
    let old = fs::read_to_string(file()).map_err(|error| format!("instructions.txt: {error}"))?;
    let header = old.lines().next().unwrap_or_default();
    if !header.starts_with("# rustc ") || parse(&old).is_empty() {
        return Err("instructions.txt has no counts: write it again with --save".into());
    }
    let this = build()?;
    if header != this {
        let both = [header, &this].map(|build| build.trim_start_matches("# "));
        println!(
            "not compared: instructions.txt is for {}; this is {}",
            both[0], both[1]
        );
        return Ok(());
    }
    let new = count()?;
    let (old, new) = (parse(&old), parse(&new));
    println!("instructions an operation, before -> now");
    let mut changes = Vec::new();
    for (name, count) in &new {
        let Some((_, before)) = old.iter().find(|(other, _)| other == name) else {
            changes.push(format!("{name} is not in instructions.txt"));
            continue;
        };
        let change = count / before - 1.0;
        println!(
            "{name:<16} {before:>8.1} -> {count:>8.1}  {:+.1} %",
            100.0 * change
        );
        if change.abs() > TOLERANCE {
            changes.push(format!("{name} takes {:+.1} %", 100.0 * change));
        }
    }
    if changes.is_empty() {
        println!("all within {:.0} %", 100.0 * TOLERANCE);
        return Ok(());
    }
    Err(format!(
        "{}. If that is meant, write the file again: cargo run --release -p go-benches --bin \
         instructions -- --save",
        changes.join(", ")
    ))
}

/// Parses the counts by name.
fn parse(text: &str) -> Vec<(String, f64)> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_string(), words.next()?.parse().ok()?))
    });
    lines.collect()
}

/// Returns what the counts depend on.
fn build() -> Result<String, String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.map_err(|error| format!("rustc: {error}"))?;
    let version = String::from_utf8_lossy(&version.stdout);
    Ok(format!("# {}, {}", version.trim(), env::consts::ARCH))
}

/// Returns the text of the file.
fn count() -> Result<String, String> {
    let ours = build_ours()?;
    let mut text = format!(
        "{}\n# instructions of an operation with one worker; written by `cargo run --release -p \
         go-benches --bin instructions -- --save`\n",
        build()?
    );
    for (name, meaning) in OPERATIONS {
        let [few, many] = DIVISORS.map(|divisor| run(&ours, name, divisor));
        let (few, many) = (few?, many?);
        let count = (many.instructions - few.instructions) / (many.operations - few.operations);
        let _ = writeln!(text, "{name:<16} {count:>8.1}  {meaning}");
    }
    Ok(text)
}

struct Run {
    operations: f64,
    instructions: f64,
}

fn run(ours: &Path, name: &str, divisor: usize) -> Result<Run, String> {
    let count = workload(name)?.count / divisor;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(ours)
        .args([name, &count.to_string()])
        .env("GOMAXPROCS", "1")
        .output()
        .map_err(|error| format!("valgrind: {error} (apt-get install valgrind)"))?;
    let (said, told) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let operations = said.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.nth(1)?.parse().ok())?
    });
    let instructions = told.lines().find_map(|line| {
        let (_, number) = line.split_once("Collected : ")?;
        number.trim().parse().ok()
    });
    match (operations, instructions) {
        (Some(operations), Some(instructions)) if output.status.success() => Ok(Run {
            operations,
            instructions,
        }),
        _ => Err(format!("{name}: {}: {said}{told}", output.status)),
    }
}
