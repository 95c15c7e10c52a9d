//! Code that the benchmarks share.

mod common;
pub mod figures;
pub mod lineup;
pub mod numbers;
pub mod options;
pub mod peers;
pub mod servers;
pub mod table;
pub mod waiting;

use std::process::ExitCode;

pub use common::*;

/// Returns the exit code of a benchmark, and prints its error.
pub fn exit(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
