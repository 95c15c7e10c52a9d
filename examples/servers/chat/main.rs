//! A chat over TCP: every client reads the lines of all others.
//!
//! ```sh
//! cargo run --example chat -- 127.0.0.1:8082
//! nc 127.0.0.1 8082   # as often as there are people; then: /name ann   /who   /quit
//! ```
//!
//! One goroutine, the hub, owns the list of clients, so there is no lock. Each client has two
//! goroutines: one reads its lines and sends them to the hub, and one writes the lines that the hub
//! has for it. The hub never waits for a client: a client whose outbox is full is dropped.
//!
//! Ctrl-C or SIGTERM stops the server, which tells all clients. A second signal ends it at once.

mod client;
mod hub;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use go_example_servers::server::{Args, Listening, UNLIMITED};
use go_runtime::channel::bounded;
use go_runtime::go;

use crate::hub::Hub;

/// The default address to listen at.
const ADDRESS: &str = "127.0.0.1:8082";
const USAGE: &str = "usage: chat [ADDRESS]\nADDRESS is 127.0.0.1:8082 if there is none.";
/// Capacity of the hub's channel of events; senders wait when it is full.
const EVENTS: usize = 64;
/// How long connections may last after the stop: longer than a leaving client may take to read its
/// last lines.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

#[go_runtime::main]
fn main() -> ExitCode {
    let args = match Args::new(&[]) {
        Ok(args) => args,
        Err(refused) => return refused.exit("chat", USAGE),
    };
    let address = args.address().unwrap_or(ADDRESS);
    match run(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(address: &str) -> io::Result<()> {
    let listening = Listening::at(address)?;
    let done = listening.done().clone();
    let (events, rx) = bounded(EVENTS);
    let hub = go!({ Hub::default().run(&rx, &done) });
    let stopping = listening.serve(UNLIMITED, move |stream| {
        client::serve(stream, &events);
    });
    // The panic hook has reported a panic of the hub, which has ended all clients.
    let _ = hub.join();
    stopping.wait(STOP_TIMEOUT)
}
