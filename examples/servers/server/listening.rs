//! The frame of a server: it listens until it is told to stop, and lets connections end.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use go_runtime::Builder;
use go_runtime::channel::Receiver;
use go_runtime::context::{self, Cancel, Context};
use go_runtime::net::{TcpListener, TcpStream};
use go_runtime::signal::{SIGINT, SIGTERM, notify_context};
use go_runtime::sync::Semaphore;

use super::accept::accept;

/// For servers that take as many connections as come.
pub const UNLIMITED: usize = Semaphore::MAX_PERMITS;

/// A server that listens. Ctrl-C or SIGTERM stops it; a second one ends the program at once.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    ctx: Context,
    release_signals: Cancel,
}

/// A server that takes no more connections.
#[derive(Debug)]
#[must_use = "connections that are open end with the program if nobody waits for them"]
pub struct Stopping {
    places: Arc<Semaphore>,
    max_connections: usize,
    accepted: io::Result<()>,
}

impl Listening {
    /// Listens, and says where on stdout.
    ///
    /// # Errors
    /// What is wrong with the address, or that signals cannot be caught.
    pub fn at(address: &str) -> io::Result<Listening> {
        let (ctx, release_signals) = notify_context(&context::background(), &[SIGINT, SIGTERM])?;
        let listener = TcpListener::bind(address)?;
        // Whoever started it may not care to read.
        let _ = writeln!(io::stdout(), "listening on {}", listener.local_addr()?);
        Ok(Listening {
            listener,
            ctx,
            release_signals,
        })
    }

    /// Closed when the server is to stop.
    pub fn done(&self) -> &Receiver<()> {
        self.ctx.done()
    }

    /// Runs `serve` in a goroutine for each connection (without Nagle's delay), of which no more
    /// than `max_connections` are open at a time, until it is told to stop or the listener fails.
    /// Then `done` is closed.
    pub fn serve(
        self,
        max_connections: usize,
        serve: impl Fn(TcpStream) + Clone + Send + 'static,
    ) -> Stopping {
        let done = self.ctx.done();
        let places = Arc::new(Semaphore::new(max_connections));
        let accepted = accept(&self.listener, done, |stream| {
            if places.acquire_with(done, 1).is_err() {
                // The server is to stop, which `accept` is about to see.
                return Ok(());
            }
            // Nobody else takes places: that one is still free.
            let place = Arc::clone(&places).acquire_owned();
            let serve = serve.clone();
            Builder::new()
                .spawn(move || {
                    // The connection is closed before its place is free.
                    serve(stream);
                    drop(place);
                })
                .map(drop)
        });
        // So that a second signal ends the program. (And if there was none: so that connections
        // know.)
        self.release_signals.cancel();
        Stopping {
            places,
            max_connections,
            accepted,
        }
    }
}

impl Stopping {
    /// Waits until all connections have ended, but no longer than that, which it says on stderr.
    ///
    /// # Errors
    /// What has failed of the listener.
    pub fn wait(self, timeout: Duration) -> io::Result<()> {
        let all = self.places.acquire_timeout(self.max_connections, timeout);
        if all.is_err() {
            eprintln!("some connections took too long, and were cut off");
        }
        self.accepted
    }
}
