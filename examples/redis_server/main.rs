//! A small server that speaks the Redis protocol: a goroutine for each connection, in plain blocking code, and one more for each that
//! subscribes to channels.
//!
//! ```sh
//! cargo run --release --example redis_server -- 127.0.0.1:6379
//! redis-cli set greeting hello
//! redis-cli get greeting
//! redis-benchmark -q -t set,get,lpush,lpop -P 16
//! redis-cli subscribe news            # and elsewhere: redis-cli publish news 'it is raining'
//! ```
//!
//! Keys are in memory, and nowhere else. Ctrl-C or SIGTERM stops it: requests that have been read are answered. A second one ends it at once.

mod collections;
mod commands;
mod connection;
mod db;
mod keys;
mod pubsub;
mod reply;
mod request;
mod session;
mod strings;

use std::convert::Infallible;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use go_examples::server::{Args, accept};
use go_runtime::channel::{Sender, after, bounded};
use go_runtime::net::{TcpListener, TcpStream};
use go_runtime::signal::{SIGINT, SIGTERM, notify_context};
use go_runtime::{Builder, context, select};

use crate::connection::{Server, serve};
use crate::db::Store;
use crate::pubsub::Hub;

/// Where it listens if no address is given.
const ADDRESS: &str = "127.0.0.1:6379";
const USAGE: &str = "usage: redis_server [ADDRESS]\nADDRESS is 127.0.0.1:6379 if there is none.";
/// For clients that do not read their last replies.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

#[go_runtime::main]
fn main() -> ExitCode {
    let args = match Args::new(&[]) {
        Ok(args) => args,
        Err(refused) => return refused.exit("redis_server", USAGE),
    };
    let address = args.address().unwrap_or(ADDRESS);
    match run(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redis_server: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(address: &str) -> io::Result<()> {
    let (ctx, release_signals) = notify_context(&context::background(), &[SIGINT, SIGTERM])?;
    let listener = TcpListener::bind(address)?;
    // Whoever started it may not care to read.
    let _ = writeln!(io::stdout(), "listening on {}", listener.local_addr()?);

    let server = Arc::new(Server {
        store: Store::default(),
        hub: Hub::default(),
        done: ctx.done().clone(),
        connections: AtomicU64::new(0),
    });
    // Nothing is sent: the last connection that ends closes the channel.
    let (running, all_ended) = bounded(0);
    let accepted = accept(&listener, &server.done, |stream| {
        start(stream, Arc::clone(&server), running.clone())
    });
    // So that a second signal ends the program. (And if there was none: so that connections know.)
    release_signals.cancel();
    drop((listener, running));
    select! {
        recv(all_ended) -> _ => {}
        recv(after(STOP_TIMEOUT)) -> _ => {
            eprintln!("redis_server: some clients did not read their replies, and were cut off");
        }
    }
    accepted
}

/// Each connection has a clone of `running`, until it ends.
fn start(stream: TcpStream, server: Arc<Server>, running: Sender<Infallible>) -> io::Result<()> {
    Builder::new()
        .spawn(move || {
            serve(&server, stream);
            drop(running);
        })
        .map(drop)
}
