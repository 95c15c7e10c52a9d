//! An HTTP/1.1 server: a goroutine for each connection, in plain blocking code.
//!
//! ```sh
//! cargo run --release --example http_server -- 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/        # /time  /slow?ms=500  /links?n=0
//! curl -d hello http://127.0.0.1:8080/echo
//! wrk -t1 -c50 -d5s http://127.0.0.1:8080/
//! ```
//!
//! Ctrl-C or SIGTERM stops it: it accepts no more connections, closes idle ones, and answers
//! running requests that do not take longer than `--stop-timeout-ms`. A second signal ends it at
//! once.

mod answer;
mod body;
mod buffers;
mod connection;
mod date;
mod limits;
mod request;
mod routes;
mod wire;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use go_example_servers::server::{Listening, UNLIMITED};
use go_runtime::sync::Pool;

use crate::buffers::Buffers;
use crate::connection::{Server, serve};
use crate::limits::Limits;

#[go_runtime::main]
fn main() -> ExitCode {
    let (address, limits) = match limits::from_args() {
        Ok(args) => args,
        Err(refused) => return refused.exit("http_server", limits::USAGE),
    };
    match run(&address, limits) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http_server: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(address: &str, limits: Limits) -> io::Result<()> {
    let listening = Listening::at(address)?;
    let stop_timeout = limits.stop_timeout;
    let server = Arc::new(Server {
        done: listening.done().clone(),
        stopping: AtomicBool::new(false),
        buffers: Pool::new(Buffers::default),
        limits,
    });
    let stopping = listening.serve(UNLIMITED, {
        let server = Arc::clone(&server);
        move |stream| serve(&server, &stream)
    });
    server.stopping.store(true, Ordering::Relaxed);
    stopping.wait(stop_timeout)
}
