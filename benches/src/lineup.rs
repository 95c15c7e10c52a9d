//! Compares programs: runs each in turn, and prints tables that set ours beside each of the others.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::figures::{Figures, each, limited, median};
use crate::numbers::{self, short};

/// Number of workers of each program if `GOMAXPROCS` is not set.
const WORKERS: &str = "2";
/// The name of our program, which is first in the tables.
pub const OURS: &str = "ours";

/// One of the programs that are compared.
#[derive(Clone)]
pub struct Peer {
    pub name: &'static str,
    program: PathBuf,
}

impl Peer {
    /// Returns a command that runs the program with the number of workers that all peers have.
    pub fn command(&self) -> Command {
        self.with_workers(Command::new(&self.program))
    }

    /// Returns the same command, which ends after two minutes.
    pub fn limited(&self) -> Command {
        self.with_workers(limited(&self.program))
    }

    fn with_workers(&self, mut command: Command) -> Command {
        if env::var_os("GOMAXPROCS").is_none() {
            command.env("GOMAXPROCS", WORKERS);
        }
        command
    }
}

/// Returns our program and the peers that could be built, and prints a note for each that could
/// not.
pub fn peers(
    ours: PathBuf,
    others: impl IntoIterator<Item = (&'static str, Result<PathBuf, String>)>,
) -> Vec<Peer> {
    let mut peers = vec![Peer {
        name: OURS,
        program: ours,
    }];
    for (name, program) in others {
        match program {
            Ok(program) => peers.push(Peer { name, program }),
            Err(error) => println!("without {name}: {error}"),
        }
    }
    peers
}

/// Runs each peer in turn, as often as planned. Each time another peer goes first, because the
/// first one may find the machine cooler. A peer that fails is left out, with a note, unless it is
/// ours.
pub fn interleave(
    peers: &[Peer],
    runs: usize,
    measure: impl Fn(&Peer) -> Result<Figures, String>,
) -> Result<Vec<Vec<Figures>>, String> {
    let mut all = vec![Some(Vec::new()); peers.len()];
    for run in 0..runs {
        for i in (0..peers.len()).map(|i| (i + run) % peers.len()) {
            let Some(figures) = &mut all[i] else {
                continue;
            };
            match measure(&peers[i]) {
                Ok(figure) => figures.push(figure),
                Err(error) if peers[i].name == OURS => return Err(error),
                Err(error) => {
                    eprintln!("without {}: {error}", peers[i].name);
                    all[i] = None;
                }
            }
        }
    }
    Ok(all.into_iter().map(Option::unwrap_or_default).collect())
}

/// Returns the median, over the runs, of the ratio of our figure to a peer's.
pub fn ratio(ours: &[Figures], peer: &[Figures], key: &str) -> f64 {
    let pairs = each(ours, key).zip(each(peer, key));
    numbers::median(pairs.map(|(ours, its)| ours / its).collect())
}

/// Returns a peer's cell in a table: the median of the figure, and in brackets ours divided by the
/// peer's.
pub fn cell(peer: &Peer, ours: &[Figures], runs: &[Figures], key: &str) -> String {
    let middle = short(median(runs, key));
    match ratio(ours, runs, key) {
        ratio if peer.name == OURS || ratio.is_nan() => middle,
        ratio => format!("{middle} ({ratio:.2})"),
    }
}

/// Prints a table with a line for each peer, from pairs of a column's head and its figure. The
/// spread of the first figure has columns of its own.
pub fn table(title: &str, peers: &[Peer], all: &[Vec<Figures>], columns: &[(&str, &str)]) {
    let (first, key) = columns[0];
    let more: Vec<&str> = columns[1..].iter().map(|(head, _)| *head).collect();
    println!("\n### {title}; in brackets ours / it\n");
    println!("| | {first} | lowest | highest | {} |", more.join(" | "));
    println!("|---|---:|---:|---:|{}", "---:|".repeat(more.len()));
    for (peer, runs) in peers.iter().zip(all) {
        let cell = |key| cell(peer, &all[0], runs, key);
        let lowest = each(runs, key).fold(f64::NAN, f64::min);
        let highest = each(runs, key).fold(f64::NAN, f64::max);
        let mut cells = vec![peer.name.into(), cell(key), short(lowest), short(highest)];
        cells.extend(columns[1..].iter().map(|(_, key)| cell(key)));
        println!("| {} |", cells.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Vec<Peer> {
        peers(PathBuf::new(), [("other", Ok(PathBuf::new()))])
    }

    #[test]
    fn a_peer_that_fails_is_left_out() {
        let all = interleave(&two(), 3, |peer| match peer.name {
            OURS => Ok(Figures::parse("a 1")),
            _ => Err("boo".into()),
        });
        let runs: Vec<usize> = all.unwrap().iter().map(Vec::len).collect();
        assert_eq!(runs, [3, 0]);
    }

    #[test]
    fn ratios_are_those_of_runs_beside_each_other() {
        let [ours, its] = [["a 2", "a 9"], ["a 1", "a 3"]].map(|runs| runs.map(Figures::parse));
        assert_eq!(ratio(&ours, &its, "a"), 2.5);
        assert_eq!(cell(&two()[1], &ours, &its, "a"), "2.0 (2.50)");
        assert_eq!(cell(&two()[1], &ours, &[], "a"), "-");
    }
}
