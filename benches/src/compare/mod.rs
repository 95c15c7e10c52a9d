//! The comparison with peers: what `src/bin/compare.rs` runs.

mod chart;
mod plan;
mod result;
mod runner;
mod table;

use std::fs;

use plan::{Workload, chosen_peers, chosen_workloads};
use runner::Programs;

use crate::peers::{load, machine, manifest, versions};

const USAGE: &str = "usage: compare [--runs N] [--peers A,B] [--save] [WORKLOAD...]";
const RUNS: usize = 9;

/// What is asked for.
pub struct Options {
    runs: usize,
    peers: Vec<&'static str>,
    workloads: Vec<&'static Workload>,
    save: bool,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let (mut runs, mut peers, mut save) = (RUNS, None, false);
        let mut workloads = Vec::new();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--runs" => {
                    let n = args.next().and_then(|n| n.parse().ok());
                    let n = n.filter(|&n| n > 0);
                    runs = n.ok_or("--runs needs a number above 0")?;
                }
                "--peers" => {
                    peers = Some(
                        args.next()
                            .ok_or("--peers needs names, with commas between")?,
                    );
                }
                "--save" => save = true,
                option if option.starts_with('-') => return Err(USAGE.into()),
                _ => workloads.push(arg),
            }
        }
        Ok(Options {
            runs,
            peers: chosen_peers(peers.as_deref())?,
            workloads: chosen_workloads(&workloads)?,
            save,
        })
    }
}

/// Builds, measures and prints; with `--save` the results are written to `results/` too.
pub fn compare(options: &Options) -> Result<(), String> {
    // Peers that no chosen workload has need not be built.
    let mut peers = options.peers.clone();
    peers.retain(|peer| {
        let mut workloads = options.workloads.iter();
        workloads.any(|workload| workload.peers.contains(peer))
    });
    let programs = Programs::build(&peers)?;
    let runs = match options.runs {
        1 => "1 run".into(),
        n => format!("medians of {n} runs in turn"),
    };
    let machine = machine()?;
    let load = load()?;
    let head = format!(
        "{machine}, load {load} at the start; 2 workers each; {runs}; ours / peer is the median of \
         the rounds' own ratios.\n\n{}\n",
        versions()?
    );
    println!("{head}");

    let mut rows = Vec::new();
    for workload in &options.workloads {
        rows.push(runner::measure(&programs, workload, &peers, options.runs));
    }
    let report = table::report(&rows, &peers, &programs);
    println!("{report}");

    if options.save {
        let svg = chart::chart(&rows, [&format!("{runs}, 2 workers each"), &machine]);
        let text = format!(
            "# Beside the peers\n\n{head}\n![Time of an operation beside ours](chart.svg)\n{report}"
        );
        let results = manifest("results");
        let error = |error| format!("{}: {error}", results.display());
        fs::create_dir_all(&results).map_err(error)?;
        fs::write(results.join("chart.svg"), svg).map_err(error)?;
        fs::write(results.join("latest.md"), text).map_err(error)?;
        eprintln!("compare: written to {}", results.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options, String> {
        Options::parse(args.iter().map(|arg| arg.to_string()))
    }

    #[test]
    fn options_are_parsed() {
        let all = options(&[]).unwrap();
        assert_eq!((all.runs, all.save), (RUNS, false));
        assert_eq!(all.workloads.len(), plan::WORKLOADS.len());

        let some = options(&["--runs", "3", "ring", "--peers", "go,may", "--save"]).unwrap();
        assert_eq!((some.runs, some.save), (3, true));
        assert_eq!((some.workloads.len(), some.peers.len()), (1, 5));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |args| options(args).err().unwrap();
        assert_eq!(error(&["--runs", "0"]), "--runs needs a number above 0");
        assert_eq!(error(&["--run"]), USAGE);
        assert!(error(&["rings"]).starts_with("no workload rings; there are spawn_join, "));
        assert!(error(&["--peers", "mai"]).starts_with("no peer mai; there are go, "));
    }
}
