//! Runs the servers in turn, and prints tables of the results.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use go_benches::figures::{self, Figures};
use go_benches::lineup::{OURS, Peer, built, interleave, print_machine, requests, table};
use go_benches::numbers::{count, short};
use go_benches::peers;
use go_benches::servers::{Server, resident};

/// Number of connections that warm up a server before its memory is measured.
const READY: usize = 200;
const ANY_PORT: &str = "127.0.0.1:0";

pub(crate) struct Plan {
    pub(crate) runs: usize,
    pub(crate) connections: usize,
    pub(crate) seconds: usize,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            runs: 5,
            connections: 200,
            seconds: 5,
        }
    }
}

/// Builds all servers that can be built. The first one, ours, is this program.
pub(crate) fn start() -> Result<Vec<Peer>, String> {
    print_machine(&["tokio"])?;
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let mut all = vec![Peer::new(OURS, this)];
    all.extend(built([
        ("tokio", peers::build_peer("tokio_echo")),
        ("Go", peers::build_go_package("./echo", "echo-go")),
    ]));
    Ok(all)
}

fn command(peer: &Peer, args: &[&str]) -> Command {
    let mut command = peer.command();
    if peer.name == OURS {
        command.arg("child");
    }
    command.args(args);
    command
}

/// Loads a running server with the client, which is the same for all servers.
fn load_one(server: &Server, plan: &Plan) -> Result<Figures, String> {
    let mut client = figures::child()?;
    client.args(["load", server.address()]);
    client.args([plan.connections, plan.seconds].map(|n| n.to_string()));
    let mut figures = figures::measure(client.arg(server.id().to_string()))?;
    for of in ["server", "client"] {
        let us = figures.get(&format!("{of}_cpu_ms")) * 1e3 / figures.get("requests");
        figures.set(&format!("{of}_cpu_us"), us);
    }
    figures.set("resident_mb", resident(server.id())? / 1e6);
    Ok(figures)
}

pub(crate) fn load(peers: &[Peer], plan: &Plan) -> Result<(), String> {
    let buffer = crate::BUFFER.to_string();
    let all = interleave(peers, plan.runs, |peer| {
        let server = Server::start(&mut command(peer, &["serve", ANY_PORT, &buffer]))?;
        load_one(&server, plan)
    })?;
    let title = format!(
        "echo, {} connections x 64 B, client in a process of its own; medians of {} runs of {} s",
        plan.connections, plan.runs, plan.seconds
    );
    requests(
        peers,
        &all,
        &title,
        &[
            ("server CPU us/request", "server_cpu_us"),
            ("client CPU us/request", "client_cpu_us"),
            ("server MB", "resident_mb"),
        ],
    );
    Ok(())
}

/// Has the client make `n` connections and, while they are idle, calls `meanwhile`.
fn while_idle<T>(
    server: &Server,
    n: usize,
    meanwhile: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut client = figures::child()?
        .args(["idle", server.address(), &n.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let input = client.stdin.take();
    let mut said = String::new();
    if let Some(out) = client.stdout.take() {
        BufReader::new(out).read_line(&mut said).map_err(failed)?;
    }
    let result = if said.starts_with("idle ") {
        meanwhile()
    } else {
        Err("the client could not connect".into())
    };
    // The end of its input tells the client to close the connections.
    drop(input);
    client.wait().map_err(failed)?;
    result
}

pub(crate) fn idle(peers: &[Peer], plan: &Plan, n: usize, buffer: usize) -> Result<(), String> {
    let size = buffer.to_string();
    let all = interleave(peers, plan.runs, |peer| {
        let server = Server::start(&mut command(peer, &["serve", ANY_PORT, &size]))?;
        // Memory that grows only once belongs to the process, not to the connections.
        while_idle(&server, READY, || Ok(()))?;
        let before = resident(server.id())?;
        let after = while_idle(&server, n, || resident(server.id()))?;
        let mut figures = Figures::parse("");
        figures.set("before", before);
        figures.set("after", after);
        figures.set("each", (after - before) / n as f64);
        Ok(figures)
    })?;
    let title = format!(
        "{n} idle connections, each with a buffer of {buffer} B, after one request; medians of {} \
         runs",
        plan.runs
    );
    let heads = [
        "server",
        "resident B/connection",
        "lowest",
        "highest",
        "MB before",
        "MB with them",
    ];
    let lines = peers.iter().zip(&all).filter_map(|(peer, runs)| {
        let middle = Figures::medians(runs)?;
        let each = || runs.iter().map(|run| run.get("each"));
        Some(vec![
            peer.name.into(),
            count(middle.get("each")),
            count(each().fold(f64::INFINITY, f64::min)),
            count(each().fold(f64::NEG_INFINITY, f64::max)),
            short(middle.get("before") / 1e6),
            short(middle.get("after") / 1e6),
        ])
    });
    table(&title, &heads, lines);
    Ok(())
}
