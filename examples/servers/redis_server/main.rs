//! A small server that speaks the Redis protocol: a goroutine for each connection, in plain
//! blocking code, and another one for each connection that subscribes to channels.
//!
//! ```sh
//! cargo run --release --example redis_server -- 127.0.0.1:6379
//! redis-cli set greeting hello
//! redis-cli get greeting
//! redis-benchmark -q -t set,get,lpush,lpop -P 16
//! redis-cli subscribe news            # and elsewhere: redis-cli publish news 'it is raining'
//! ```
//!
//! Keys exist only in memory. Ctrl-C or SIGTERM stops the server, which still answers the requests
//! that it has read. A second signal ends it at once.

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

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use go_example_servers::server::{Args, Listening, UNLIMITED};

use crate::connection::{Server, serve};
use crate::db::Store;
use crate::pubsub::Hub;

/// The default address to listen at.
const ADDRESS: &str = "127.0.0.1:6379";
const USAGE: &str = "usage: redis_server [ADDRESS]\nADDRESS is 127.0.0.1:6379 if there is none.";
/// How long clients may take to read their last replies when the server stops.
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
    let listening = Listening::at(address)?;
    let server = Arc::new(Server {
        store: Store::default(),
        hub: Hub::default(),
        done: listening.done().clone(),
        connections: AtomicU64::new(0),
    });
    let stopping = listening.serve(UNLIMITED, move |stream| {
        serve(&server, stream);
    });
    stopping.wait(STOP_TIMEOUT)
}
