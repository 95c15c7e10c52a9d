//! What the servers among the examples have in common: a goroutine for each connection, limits, and
//! an end that lets connections end.

mod accept;
mod args;
mod listening;

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use go_runtime::channel::{Receiver, bounded};
use go_runtime::net::{Shutdown, TcpStream, WithDone};

pub use args::{Args, Refused};
pub use listening::{Listening, Stopping, UNLIMITED};

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

    /// The stream (of the same type, to put in place of the other), on which there can be said that
    /// the server stops.
    pub fn to_the_end(&self) -> WithDone<'a, TcpStream, ()> {
        self.stream.with_done(self.never)
    }

    /// What is read and written until this is called again has to be done within this time.
    pub fn within(&self, timeout: Duration) {
        // No socket refuses a deadline.
        let _ = self.stream.set_deadline(Some(Instant::now() + timeout));
    }

    /// Ends what is sent, and waits for the client to end as well, for a while.
    pub fn finish(&self) {
        linger(self.stream);
    }
}

/// Ends what is sent, and reads what still comes, for a while: a connection that is closed while
/// there is something to be read is reset, and what was sent last may be lost with it.
pub fn linger(stream: &TcpStream) {
    let begun = stream
        .shutdown(Shutdown::Write)
        .and_then(|()| stream.set_read_deadline(Some(Instant::now() + LINGER)));
    if begun.is_err() {
        return;
    }
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

/// [`Listening`], for servers that know of nothing but connections: `serve` runs in a goroutine for
/// each, until Ctrl-C or SIGTERM; those that are open then have `stop_timeout` to end.
///
/// # Errors
/// What is wrong with the address, or what fails of the listener.
pub fn run(
    address: &str,
    limits: &Limits,
    serve: impl Fn(&Connection<'_>) + Send + Sync + 'static,
) -> io::Result<()> {
    let listening = Listening::at(address)?;
    let (_open, never) = bounded(0);
    let shared = Arc::new((serve, listening.done().clone(), never));
    let stopping = listening.serve(limits.max_connections, move |stream| {
        let (serve, done, never) = &*shared;
        serve(&Connection {
            stream: &stream,
            done,
            never,
        });
    });
    stopping.wait(limits.stop_timeout)
}
