//! The frame of a server: it listens until it is told to stop, and then lets connections end.

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

/// The limit of servers that accept any number of connections.
pub const UNLIMITED: usize = Semaphore::MAX_PERMITS;

/// A listening server. Ctrl-C or SIGTERM stops it; a second signal ends the program at once.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    ctx: Context,
    release_signals: Cancel,
}

/// A server that accepts no more connections.
#[derive(Debug)]
#[must_use = "connections that are open end with the program if nobody waits for them"]
pub struct Stopping {
    places: Arc<Semaphore>,
    max_connections: usize,
    accepted: io::Result<()>,
}

impl Listening {
    /// Listens, and prints the address on stdout.
    ///
    /// # Errors
    /// The listener's error, or that signals cannot be caught.
    pub fn at(address: &str) -> io::Result<Listening> {
        let (ctx, release_signals) = notify_context(&context::background(), &[SIGINT, SIGTERM])?;
        let listener = TcpListener::bind(address)?;
        // The program that started this one may have closed the pipe.
        let _ = writeln!(io::stdout(), "listening on {}", listener.local_addr()?);
        Ok(Listening {
            listener,
            ctx,
            release_signals,
        })
    }

    /// Returns the channel that is closed when the server stops.
    pub fn done(&self) -> &Receiver<()> {
        self.ctx.done()
    }

    /// Runs `serve` in a goroutine for each connection (without Nagle's delay), with at most
    /// `max_connections` open at a time, until the server is told to stop or the listener fails.
    /// Then `done` is closed.
    pub fn serve(
        self,
        max_connections: usize,
        serve: impl Fn(TcpStream) + Clone + Send + 'static,
    ) -> Stopping {
        let done = self.ctx.done();
        let places = Arc::new(Semaphore::new(max_connections));
        let accepted = accept(&self.listener, done, |stream| {
            if places.acquire_with(1, done).is_err() {
                // The server is stopping. `accept` will see that in its next attempt.
                return Ok(());
            }
            // Only this loop takes permits, so the permit of the line above is still available.
            let place = Arc::clone(&places).acquire_owned();
            let serve = serve.clone();
            Builder::new()
                .spawn(move || {
                    // The connection is closed before its permit is released.
                    serve(stream);
                    drop(place);
                })
                .map(drop)
        });
        // From now on a second signal ends the program. (If the listener has failed, this also
        // tells the connections to end.)
        self.release_signals.cancel();
        Stopping {
            places,
            max_connections,
            accepted,
        }
    }
}

impl Stopping {
    /// Waits until all connections have ended, for at most `timeout`. Reports on stderr if some
    /// connections are left then.
    ///
    /// # Errors
    /// The error with which the listener failed.
    pub fn wait(self, timeout: Duration) -> io::Result<()> {
        let all = self.places.acquire_timeout(self.max_connections, timeout);
        if all.is_err() {
            eprintln!("some connections took too long, and were cut off");
        }
        self.accepted
    }
}
