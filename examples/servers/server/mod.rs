//! The frame that the example servers share: a goroutine for each connection, limits, and a
//! shutdown that lets connections end.

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

/// The limits of each client, and of all clients together.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Time limit from the beginning of a connection to the end of its handshake.
    pub handshake_timeout: Duration,
    /// How long a connection may be open and silent.
    pub idle_timeout: Duration,
    /// How long a client may take to read what is sent to it.
    pub write_timeout: Duration,
    /// Time limit for connections that are open when the server stops.
    pub stop_timeout: Duration,
    /// Maximum number of open connections. Further ones wait.
    pub max_connections: usize,
}

impl Limits {
    /// The options that set the limits.
    pub const OPTIONS: [&str; 5] = [
        "--handshake-timeout-ms",
        "--idle-timeout-ms",
        "--write-timeout-ms",
        "--stop-timeout-ms",
        "--max-connections",
    ];

    /// Returns the limits of the command line.
    ///
    /// # Errors
    /// Which argument is wrong.
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
    /// Returns the stream, whose operations fail when the server is told to stop.
    pub fn until_stop(&self) -> WithDone<'a, TcpStream, ()> {
        self.stream.with_done(self.done)
    }

    /// Returns the stream (with the same type, to replace the other one) for telling the client
    /// that the server stops.
    pub fn to_the_end(&self) -> WithDone<'a, TcpStream, ()> {
        self.stream.with_done(self.never)
    }

    /// Sets a time limit for all reads and writes until the next call.
    pub fn within(&self, timeout: Duration) {
        // Setting a deadline cannot fail.
        let _ = self.stream.set_deadline(Some(Instant::now() + timeout));
    }

    /// Ends the output, and waits a while for the client to end too.
    pub fn finish(&self) {
        linger(self.stream);
    }
}

/// Ends the output, and reads the remaining input for a while: a connection that is closed while
/// there is unread data is reset, and the last output may be lost with it.
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

/// Runs [`Listening`] for servers whose only state is their connections: `serve` runs in a
/// goroutine for each connection, until Ctrl-C or SIGTERM. Open connections then have
/// `stop_timeout` to end.
///
/// # Errors
/// The error of the address or of the listener.
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
