//! What the servers among the examples have in common: a goroutine for each connection, limits, and an end that lets connections end.

mod accept;
mod args;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use go_runtime::Builder;
use go_runtime::channel::{Receiver, bounded};
use go_runtime::context;
use go_runtime::net::{Shutdown, TcpListener, TcpStream, WithDone};
use go_runtime::signal::{SIGINT, SIGTERM, notify_context};
use go_runtime::sync::Semaphore;

pub use accept::accept;
pub use args::{Args, Refused};

/// How long a client may take to see that the connection ends.
const LINGER: Duration = Duration::from_millis(500);

/// What all clients together, and each of them, may ask of a server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the beginning of a connection to the end of its handshake.
    pub handshake_timeout: Duration,
    /// How long a connection may be open and silent.
    pub idle_timeout: Duration,
    /// How long a client may take to read what it is sent.
    pub write_timeout: Duration,
    /// For connections that are open when the server stops.
    pub stop_timeout: Duration,
    /// How many connections are open at most. Others wait for their turn.
    pub max_connections: usize,
}

impl Limits {
    /// The options that set them.
    pub const OPTIONS: [&str; 5] = [
        "--handshake-timeout-ms",
        "--idle-timeout-ms",
        "--write-timeout-ms",
        "--stop-timeout-ms",
        "--max-connections",
    ];

    /// Those that the command line gives.
    ///
    /// # Errors
    /// What is wrong with which argument.
    pub fn new(args: &Args) -> Result<Limits, Refused> {
        let time = |option, seconds| args.milliseconds(option, Duration::from_secs(seconds));
        Ok(Limits {
            handshake_timeout: time("--handshake-timeout-ms", 10)?,
            idle_timeout: time("--idle-timeout-ms", 120)?,
            write_timeout: time("--write-timeout-ms", 30)?,
            stop_timeout: time("--stop-timeout-ms", 5)?,
            max_connections: args.number("--max-connections", 10_000, 1_000_000)? as usize,
        })
    }
}

/// A client's connection.
#[derive(Debug)]
pub struct Connection<'a> {
    stream: &'a TcpStream,
    done: &'a Receiver<()>,
    never: &'a Receiver<()>,
}

impl<'a> Connection<'a> {
    /// The stream, on which all fails when the server is to stop.
    pub fn until_stop(&self) -> WithDone<'a, TcpStream, ()> {
        self.stream.with_done(self.done)
    }

    /// The stream (of the same type, to put in place of the other), on which there can be said that the server stops.
    pub fn to_the_end(&self) -> WithDone<'a, TcpStream, ()> {
        self.stream.with_done(self.never)
    }

    /// What is read and written until this is called again has to be done within this time.
    pub fn within(&self, timeout: Duration) {
        self.stream.set_deadline(Some(Instant::now() + timeout));
    }

    /// Ends what is sent, and waits for the client to end as well, for a while.
    pub fn finish(&self) {
        linger(self.stream);
    }
}

/// Ends what is sent, and reads what still comes, for a while: a connection that is closed while there is something to be read is reset, and
/// what was sent last may be lost with it.
pub fn linger(stream: &TcpStream) {
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    stream.set_read_deadline(Some(Instant::now() + LINGER));
    let mut rest = [0; 1024];
    let mut stream = stream;
    loop {
        match stream.read(&mut rest) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// Listens, says where, and runs `serve` in a goroutine for each connection, until Ctrl-C or SIGTERM. Then it takes no more connections, and
/// waits for those that are open, for `stop_timeout`. A second signal ends the program at once.
///
/// # Errors
/// What is wrong with the address, or what fails of the listener.
pub fn run(
    address: &str,
    limits: &Limits,
    serve: impl Fn(&Connection<'_>) + Send + Sync + 'static,
) -> io::Result<()> {
    let (ctx, release_signals) = notify_context(&context::background(), &[SIGINT, SIGTERM])?;
    let listener = TcpListener::bind(address)?;
    // Whoever started it may not care to read.
    let _ = writeln!(io::stdout(), "listening on {}", listener.local_addr()?);

    let (_open, never) = bounded(0);
    let shared = Arc::new((serve, ctx.done().clone(), never));
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let accepted = accept(&listener, ctx.done(), |stream| {
        if places.acquire_with(ctx.done(), 1).map(drop).is_err() {
            // The server is to stop, which `accept` is about to see.
            return Ok(());
        }
        // Nobody else takes places: that one is still free.
        let place = Arc::clone(&places).acquire_owned();
        let shared = Arc::clone(&shared);
        Builder::new()
            .spawn(move || {
                let (serve, done, never) = &*shared;
                // Answers are complete when they are written. (On a connection that is gone already the read will tell.)
                let _ = stream.set_nodelay(true);
                serve(&Connection {
                    stream: &stream,
                    done,
                    never,
                });
                // The connection is closed before its place is free.
                drop(stream);
                drop(place);
            })
            .map(drop)
    });
    // So that a second signal ends the program. (And if there was none: so that connections know.)
    release_signals.cancel();
    drop(listener);
    if places
        .acquire_timeout(limits.max_connections, limits.stop_timeout)
        .is_err()
    {
        eprintln!("some connections took too long, and were cut off");
    }
    accepted
}
