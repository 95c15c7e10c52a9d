//! Counts the instructions of an operation under callgrind, which gives the same count on every
//! machine, loaded or not: `cargo run --release -p go-benches --bin instructions
//! [-- --check | --save]`.
//!
//! With `--save` it writes `instructions.txt`. With `--check` it compares the counts with that
//! file, and fails if an operation takes over 5 % more, or over 5 % less: an improvement has to be
//! saved, or else losing it again would go unnoticed. Counts depend on the compiler and on the
//! processor's architecture. The file names both, and is compared only with counts for the same
//! ones. On a busy machine the threads of a program take other turns, and `spawn_join` then takes a
//! tenth more; so an operation that seems to have changed is counted again.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

use go_benches::figures::Figures;
use go_benches::peers::{build_ours, manifest, output, read, save};
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
const FILE: &str = "instructions.txt";
/// How often an operation is counted that seems to have changed.
const ATTEMPTS: usize = 5;
/// Relative deviation, in either direction, above which a count has changed.
const TOLERANCE: f64 = 0.05;
/// How many times as many operations the longer of the two runs counts besides the shorter's.
const MORE: usize = 8;

fn main() -> ExitCode {
    let option = env::args().nth(1);
    go_benches::exit(match option.as_deref() {
        None => count().map(|text| print!("{text}")),
        Some("--save") => count().and_then(|text| save(FILE, &text)),
        Some("--check") => check(),
        _ => Err("usage: instructions [--check | --save]".into()),
    })
}

fn check() -> Result<(), String> {
    let old = read(&manifest(FILE).to_string_lossy())?;
    let (saved, this) = (old.lines().next().unwrap_or_default(), build()?);
    if !saved.starts_with("# rustc ") {
        return Err(format!(
            "{FILE} names no compiler: write it again with --save"
        ));
    }
    if saved != this {
        println!("not compared: {FILE} is for {saved}; this is {this}");
        return Ok(());
    }
    let (old, ours) = (Figures::parse(&old), build_ours()?);
    println!("instructions an operation, before -> now");
    let mut changes = Vec::new();
    for (name, _) in OPERATIONS {
        let before = old.get(name);
        let (mut now, mut percent) = (f64::NAN, f64::NAN);
        // An operation that is missing in the file has no number here.
        let is_within = |percent: f64| percent.abs() <= TOLERANCE * 100.0;
        for _ in 0..ATTEMPTS {
            now = operation(&ours, name)?;
            percent = 100.0 * (now / before - 1.0);
            if is_within(percent) {
                break;
            }
        }
        println!("{name:<16} {before:>8.1} -> {now:>8.1}  {percent:+.1} %");
        if !is_within(percent) {
            changes.push(format!("{name} takes {percent:+.1} %"));
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

/// Returns what the counts depend on.
fn build() -> Result<String, String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = output(Command::new(rustc).arg("--version"))?;
    Ok(format!("# {version}, {}", env::consts::ARCH))
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
        let count = operation(&ours, name)?;
        text += &format!("{name:<16} {count:>8.1}  {meaning}\n");
    }
    Ok(text)
}

/// Returns how many instructions an operation takes.
fn operation(ours: &Path, name: &str) -> Result<f64, String> {
    // It runs with two counts, and the difference does not include the cost of the start. That cost
    // differs from run to run, by some 200,000 instructions (the allocator tidies up or does not):
    // among the operations of `MORE` they are less than 1 %.
    let few = workload(name)?.count / 100;
    let difference = run(ours, name, few + MORE * few)? - run(ours, name, few)?;
    Ok(difference / (MORE * few) as f64)
}

/// Returns how many instructions a run takes.
fn run(ours: &Path, name: &str, count: usize) -> Result<f64, String> {
    let mut command = Command::new("valgrind");
    command.args([
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        "--log-fd=1",
    ]);
    command.arg(ours).args([name, &count.to_string()]);
    let text = output(command.env("GOMAXPROCS", "1"))?;
    let number = text.split("Collected : ").nth(1);
    let number = number.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("{name}: valgrind said: {text}"))
}
