//! Builds the programs and runs them in turn.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::plan::{Invocation, OURS, Workload, invocation, most_runs, program};
use super::result::{Column, Figure, Row, parse};
use crate::peers::{build_go, build_ours, build_peer};

/// A run that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(40);
/// Workers of ours and of Go; the other programs set as many themselves.
const WORKERS: &str = "2";
/// As much of what a program has complained about as a note needs.
const COMPLAINT: usize = 200;

/// The programs by name, or why one is missing.
pub struct Programs(BTreeMap<&'static str, Result<PathBuf, String>>);

impl Programs {
    /// Builds ours and those that the columns need. Only ours has to be there.
    pub fn build(columns: &[&'static str]) -> Result<Programs, String> {
        let mut programs = BTreeMap::from([(OURS, Ok(build_ours()?))]);
        for column in columns {
            let name = program(column).0;
            programs.entry(name).or_insert_with(|| {
                eprintln!("compare: building {name}");
                match name {
                    "go" => build_go(),
                    name => build_peer(name),
                }
            });
        }
        Ok(Programs(programs))
    }

    fn get(&self, column: &str) -> Option<&Path> {
        let built = self.0.get(program(column).0)?;
        built.as_deref().ok()
    }

    /// What is missing, and why.
    pub fn missing(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter_map(|(name, built)| Some((*name, built.as_ref().err()?.as_str())))
    }
}

/// Runs a workload on ours and on those of the columns that have it, round by round.
pub fn measure(
    programs: &Programs,
    workload: &'static Workload,
    columns: &[&'static str],
    rounds: usize,
) -> Row {
    let peers = columns
        .iter()
        .filter(|column| workload.peers.contains(column));
    let mut row = Row {
        workload,
        columns: std::iter::once(&OURS)
            .chain(peers)
            .filter(|column| programs.get(column).is_some())
            .map(|name| Column {
                name,
                ..Column::default()
            })
            .collect(),
    };
    // Round 0 does not count.
    for round in usize::from(!workload.heavy)..=rounds {
        eprintln!("compare: {}, round {round} of {rounds}", workload.name);
        for column in &mut row.columns {
            let most = most_runs(workload.name, column.name);
            if column.failure.is_some() || most.is_some_and(|most| round == 0 || round > most) {
                continue;
            }
            let Some(path) = programs.get(column.name) else {
                continue;
            };
            match run(path, column.name, &invocation(workload, column.name)) {
                Ok(Some(figure)) if round > 0 => column.runs.push((round, figure)),
                Ok(_) => {}
                Err(error) => column.failure = Some(error),
            }
        }
    }
    row
}

/// Runs a program once. `None` if it has no such workload.
fn run(path: &Path, column: &str, invocation: &Invocation) -> Result<Option<Figure>, String> {
    let mut command = Command::new(path);
    command.arg(invocation.workload).args(program(column).1);
    command
        .env("GOMAXPROCS", WORKERS)
        .env("RUST_BACKTRACE", "0");
    for (key, value) in &invocation.variables {
        command.env(key, value.to_string());
    }
    parse(&output(&mut command, LIMIT)?, invocation.workload)
}

/// What a command prints, if it ends in time and well.
fn output(command: &mut Command, limit: Duration) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    // Threads that block read both, so that nothing of ours runs beside what is measured.
    let errors = reader(child.stderr.take());
    let lines = reader(child.stdout.take());
    let (ended, end) = mpsc::channel();
    let lines = thread::spawn(move || {
        let text = lines.join().unwrap_or_default();
        // Nobody waits any more if the time is over.
        let _ = ended.send(());
        text
    });
    let in_time = end.recv_timeout(limit).is_ok();
    if !in_time {
        // It may have ended this moment.
        let _ = child.kill();
    }
    finish(child, in_time, limit)
        .map(|()| lines.join().unwrap_or_default())
        .map_err(|why| {
            let errors = errors.join().unwrap_or_default();
            match complaint(&errors).as_str() {
                "" => why,
                complaint => format!("{why}: {complaint}"),
            }
        })
}

/// The beginning of what a program has said, on one line.
fn complaint(errors: &str) -> String {
    // What Rust says after a panic is of no use in a note.
    let errors = errors.split("note: run with").next().unwrap_or_default();
    let words: Vec<&str> = errors.split_whitespace().map(without_registry).collect();
    words.join(" ").chars().take(COMPLAINT).collect()
}

/// Of the place of a panic in a crate, the part that is the same on every machine.
fn without_registry(word: &str) -> &str {
    let in_registry = word.split_once("/registry/src/");
    let in_crate = in_registry.and_then(|(_, path)| path.split_once('/'));
    in_crate.map_or(word, |(_, path)| path)
}

fn finish(mut child: Child, in_time: bool, limit: Duration) -> Result<(), String> {
    let status = child.wait().map_err(|error| error.to_string())?;
    match (in_time, status.success()) {
        (false, _) => Err(format!("not done after {} s", limit.as_secs_f64())),
        (true, true) => Ok(()),
        (true, false) => Err(status.to_string()),
    }
}

fn reader(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What came before an error is all that there is.
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String, String> {
        output(Command::new("sh").arg("-c").arg(script), limit)
    }

    #[test]
    fn a_program_that_ends_well_has_its_output_taken() {
        assert_eq!(shell("echo a; echo b >&2", LIMIT), Ok("a\n".into()));
    }

    #[test]
    fn one_that_fails_says_why() {
        let error = shell("echo out of memory >&2; exit 4", LIMIT).unwrap_err();
        assert_eq!(error, "exit status: 4: out of memory");
    }

    #[test]
    fn complaints_are_short_and_name_no_directory_of_this_machine() {
        let panic = "\nthread panicked at /home/me/registry/src/index-1/may-0.3/src/lib.rs:5:\n  boo\nnote: run with x";
        assert_eq!(
            complaint(panic),
            "thread panicked at may-0.3/src/lib.rs:5: boo"
        );
        assert_eq!(complaint(&"long ".repeat(100)).len(), COMPLAINT);
    }

    #[test]
    fn one_that_hangs_is_ended() {
        let error = shell("exec sleep 600", Duration::from_millis(100)).unwrap_err();
        assert_eq!(error, "not done after 0.1 s");
    }
}
