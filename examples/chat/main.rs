//! A chat over TCP: whoever connects reads what all others write.
//!
//! ```sh
//! cargo run --example chat -- 127.0.0.1:8082
//! nc 127.0.0.1 8082                     # as often as there are people; then: /name ann   /who   /quit
//! ```
//!
//! One goroutine, the hub, knows who is there; nobody else does, so there is no lock. Each client has two: one reads its lines and sends
//! them to the hub, and one writes what the hub has for it. The hub waits for nobody: a client whose outbox is full is dropped.
//!
//! Ctrl-C or SIGTERM stops it; everybody is told. A second one ends it at once.

mod client;
mod hub;

use std::convert::Infallible;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use go_examples::server::{Args, accept};
use go_runtime::channel::{Sender, after, bounded};
use go_runtime::net::{TcpListener, TcpStream};
use go_runtime::signal::{SIGINT, SIGTERM, notify_context};
use go_runtime::{Builder, context, go, select};

use crate::hub::{Event, Hub};

/// Where it listens if no address is given.
const ADDRESS: &str = "127.0.0.1:8082";
const USAGE: &str = "usage: chat [ADDRESS]\nADDRESS is 127.0.0.1:8082 if there is none.";
/// As many lines may wait for the hub; then their writers wait.
const EVENTS: usize = 64;
/// Longer than any client has to read its last lines.
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
    let (ctx, release_signals) = notify_context(&context::background(), &[SIGINT, SIGTERM])?;
    let done = ctx.done().clone();
    let listener = TcpListener::bind(address)?;
    // Whoever started it may not care to read.
    let _ = writeln!(io::stdout(), "listening on {}", listener.local_addr()?);

    let (events, rx) = bounded(EVENTS);
    let hub = go!(clone(done) { Hub::default().run(&rx, &done) });
    // Nothing is sent: the last client that ends closes the channel.
    let (running, all_ended) = bounded(0);
    let accepted = accept(&listener, &done, |stream| {
        start(stream, events.clone(), running.clone())
    });
    // So that a second signal ends the program. (And if there was none: so that the hub knows.)
    release_signals.cancel();
    drop((listener, running));
    // A panic there has been reported, and has ended all clients.
    let _ = hub.join();
    select! {
        recv(all_ended) -> _ => {}
        recv(after(STOP_TIMEOUT)) -> _ => eprintln!("chat: some clients were cut off"),
    }
    accepted
}

/// Each client has a clone of `running`, until it ends.
fn start(stream: TcpStream, events: Sender<Event>, running: Sender<Infallible>) -> io::Result<()> {
    Builder::new()
        .spawn(move || {
            client::serve(stream, &events);
            drop(running);
        })
        .map(drop)
}
