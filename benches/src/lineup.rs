//! Compares servers: runs each in turn, and prints tables that set ours beside each of the others.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::figures::Figures;
use crate::numbers::{count, median, short};
use crate::peers::{load, machine, versions};

/// Number of workers of each server if `GOMAXPROCS` is not set.
const WORKERS: &str = "2";
/// The name of our server, which is first in the tables.
pub const OURS: &str = "ours";

/// One of the servers that are compared.
#[derive(Clone)]
pub struct Peer {
    pub name: &'static str,
    program: PathBuf,
}

impl Peer {
    pub fn new(name: &'static str, program: PathBuf) -> Peer {
        Peer { name, program }
    }

    /// Returns a command that runs its program with the number of workers that all peers have.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if env::var_os("GOMAXPROCS").is_none() {
            command.env("GOMAXPROCS", WORKERS);
        }
        command
    }
}

/// Returns the peers that could be built, and prints a note for each that could not.
pub fn built(all: impl IntoIterator<Item = (&'static str, Result<PathBuf, String>)>) -> Vec<Peer> {
    let built = all.into_iter().filter_map(|(name, program)| {
        program
            .map(|program| Peer::new(name, program))
            .map_err(|error| println!("without {name}: {error}"))
            .ok()
    });
    built.collect()
}

/// Prints the machine and the versions on which everything runs.
pub fn print_machine(crates: &[&str]) -> Result<(), String> {
    println!(
        "{}, {} workers each, load {}",
        machine()?,
        env::var("GOMAXPROCS").unwrap_or(WORKERS.into()),
        load()?
    );
    println!("{}", versions(crates)?);
    Ok(())
}

/// Runs each peer in turn, as often as planned. Each time another peer goes first, because the
/// first one may find the machine cooler. A peer that fails is left out from then on, with a note,
/// unless it is ours.
pub fn interleave(
    peers: &[Peer],
    runs: usize,
    measure: impl Fn(&Peer) -> Result<Figures, String>,
) -> Result<Vec<Vec<Figures>>, String> {
    let mut all: Vec<Vec<Figures>> = peers.iter().map(|_| Vec::new()).collect();
    let mut failed = vec![false; peers.len()];
    for run in 0..runs {
        for i in (0..peers.len()).map(|i| (i + run) % peers.len()) {
            if failed[i] {
                continue;
            }
            match measure(&peers[i]) {
                Ok(figures) => all[i].push(figures),
                Err(error) if peers[i].name == OURS => return Err(error),
                Err(error) => {
                    println!("without {}: {error}", peers[i].name);
                    failed[i] = true;
                }
            }
        }
    }
    Ok(all)
}

/// Returns the median, over the runs, of the ratio of our figure to a peer's.
fn ratio(ours: &[Figures], peer: &[Figures], key: &str) -> String {
    let pairs = ours.iter().zip(peer);
    let ratio = median(pairs.map(|(us, it)| us.get(key) / it.get(key)).collect());
    ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"))
}

/// Prints a table. The first column holds names, the others numbers.
pub fn table(title: &str, heads: &[&str], lines: impl IntoIterator<Item = Vec<String>>) {
    let aligned = "---:|".repeat(heads.len() - 1);
    println!("\n### {title}\n\n| {} |\n|---|{aligned}", heads.join(" | "));
    for cells in lines {
        println!("| {} |", cells.join(" | "));
    }
}

/// Prints the table of `requests_per_s`, `p50_us` and `p99_us`, and of further figures in columns
/// of their own.
pub fn requests(peers: &[Peer], all: &[Vec<Figures>], title: &str, more: &[(&str, &str)]) {
    let mut heads = vec![
        "server",
        "requests/s",
        "lowest",
        "highest",
        "p50 us",
        "p99 us",
        "ours / it, requests/s",
        "ours / it, p99",
    ];
    heads.extend(more.iter().map(|(head, _)| head));
    let lines = peers.iter().zip(all).filter_map(|(peer, runs)| {
        let middle = Figures::medians(runs)?;
        let rates = || runs.iter().map(|run| run.get("requests_per_s"));
        let mut cells = vec![
            peer.name.into(),
            count(middle.get("requests_per_s")),
            count(rates().fold(f64::INFINITY, f64::min)),
            count(rates().fold(0.0, f64::max)),
            count(middle.get("p50_us")),
            count(middle.get("p99_us")),
            ratio(&all[0], runs, "requests_per_s"),
            ratio(&all[0], runs, "p99_us"),
        ];
        cells.extend(more.iter().map(|(_, key)| short(middle.get(key))));
        Some(cells)
    });
    table(title, &heads, lines);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers() -> Vec<Peer> {
        ["other", OURS]
            .map(|name| Peer::new(name, PathBuf::new()))
            .into()
    }

    #[test]
    fn a_peer_that_fails_is_left_out_from_then_on() {
        let all = interleave(&peers(), 3, |peer| match peer.name {
            OURS => Ok(Figures::parse("a 1")),
            _ => Err("boo".into()),
        });
        assert_eq!(
            all.unwrap().iter().map(Vec::len).collect::<Vec<_>>(),
            [0, 3]
        );
    }

    #[test]
    fn ours_may_not_fail() {
        let all = interleave(&peers(), 3, |peer| match peer.name {
            OURS => Err("boo".into()),
            _ => Ok(Figures::parse("a 1")),
        });
        assert_eq!(all.err().unwrap(), "boo");
    }

    #[test]
    fn ratios_are_those_of_runs_beside_each_other() {
        let [ours, its] = [["a 2", "a 9"], ["a 1", "a 3"]].map(|runs| runs.map(Figures::parse));
        assert_eq!(ratio(&ours, &its, "a"), "2.50");
        assert_eq!(ratio(&ours, &[], "a"), "-");
    }
}
