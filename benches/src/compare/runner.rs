//! Builds the programs and runs them in turn.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::plan::{Invocation, OURS, Workload, invocation, most_runs, program};
use super::result::{Column, Figure, Row, parse};
use crate::child::output;
use crate::peers::{build_go, build_ours, build_peer};

/// A run that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(40);
/// Workers of ours and of Go; the other programs set as many themselves.
const WORKERS: &str = "2";

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
