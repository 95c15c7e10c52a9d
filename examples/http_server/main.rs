//! An HTTP/1.1 server: a goroutine for each connection, in plain blocking code.
//!
//! ```sh
//! cargo run --release --example http_server -- 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/        # /time  /slow?ms=500  /links?n=0
//! curl -d hello http://127.0.0.1:8080/echo
//! wrk -t1 -c50 -d5s http://127.0.0.1:8080/
//! ```
//!
//! Ctrl-C or SIGTERM stops it: no more connections are taken, idle ones are closed, and requests that run get their answers if they do not
//! take longer than `--stop-timeout-ms`. A second one ends it at once.

mod answer;
mod body;
mod buffers;
mod connection;
mod date;
mod limits;
mod request;
mod routes;
mod wire;

use std::convert::Infallible;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use go_examples::server::accept;
use go_runtime::channel::{Sender, after, bounded};
use go_runtime::signal::{SIGINT, SIGTERM, notify_context};
use go_runtime::sync::Pool;
use go_runtime::{Builder, context, select};

use crate::buffers::Buffers;
use crate::connection::{Server, serve};
use crate::limits::Limits;
use go_runtime::net::{TcpListener, TcpStream};

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
    let (ctx, release_signals) = notify_context(&context::background(), &[SIGINT, SIGTERM])?;
    let listener = TcpListener::bind(address)?;
    // Whoever started it may not care to read.
    let _ = writeln!(io::stdout(), "listening on {}", listener.local_addr()?);

    let server = Arc::new(Server {
        done: ctx.done().clone(),
        stopping: AtomicBool::new(false),
        buffers: Pool::new(Buffers::default),
        limits,
    });
    // Nothing is sent: the last connection that ends closes the channel.
    let (running, all_ended) = bounded(0);
    let accepted = accept(&listener, &server.done, |stream| {
        start(stream, Arc::clone(&server), running.clone())
    });
    server.stopping.store(true, Ordering::Relaxed);
    // So that a second signal ends the program. (And if there was none: so that connections know.)
    release_signals.cancel();
    drop((listener, running));
    select! {
        recv(all_ended) -> _ => {}
        recv(after(server.limits.stop_timeout)) -> _ => {
            eprintln!("http_server: some requests took too long, and were cut off");
        }
    }
    accepted
}

/// Each connection has a clone of `running`, until it ends.
fn start(stream: TcpStream, server: Arc<Server>, running: Sender<Infallible>) -> io::Result<()> {
    Builder::new()
        .spawn(move || {
            serve(&server, &stream);
            // The connection is closed before it counts as ended.
            drop(stream);
            drop(running);
        })
        .map(drop)
}
