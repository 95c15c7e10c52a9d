//! The server of the page: the listener, its threads, and their limits.
//!
//! ```text
//!   go-debug (accepts) ---> go-debug (a thread for each connection: one request, one answer)
//!                            |  request.rs  reads and checks the request
//!                            |  routes.rs   which answer
//!                            |  view.rs     goroutines and figures as JSON (json.rs)
//!                            `  wire.rs     writes the answer
//! ```
//!
//! Nothing here runs on a worker, and no socket is registered with a worker's poller: these are
//! threads of the system with std's blocking sockets. So the page answers while goroutines hold all
//! workers, which is when it is needed; it takes no place among the goroutines that it shows, and
//! none of the threads that `GOBLOCKING` limits. (An acceptor on a worker would stop with that
//! worker, as a started goroutine never changes its thread.) As the runtime does not know these
//! threads, a program whose goroutines all wait gets the warning of `debug::deadlock`, and lives on
//! to be looked at.
//!
//! Any process of the machine may connect, and any page in a browser may send a request. The rules
//! that follow from it:
//!
//! - Everything that a client can make the server do is bounded in time, memory and number: the
//!   constants below, and in `routes`.
//! - Only names and addresses of the loopback interface are accepted in `Host`, so that no page of
//!   another site can read answers after it has pointed its own name here (DNS rebinding).
//! - A request that a browser marks as another site's is refused before it causes work.
//! - No answer repeats what a request has said, and nothing is logged.

mod json;
mod request;
mod routes;
mod view;
mod wire;

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::request::Request;
use self::wire::{INTERNAL_ERROR, Refusal, SERVICE_UNAVAILABLE, Wire};
use crate::primitives::uncaptured;

/// Maximum number of connections at a time. A browser opens six at most.
const MAX_CONNECTIONS: usize = 32;
/// How long a client may take to send its request.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// How long a client may take to read the answer, from its beginning.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long the server waits for the client's end of a connection, and how much it reads meanwhile.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 64 << 10;
/// The pause after an error of `accept`, which is a lack of descriptors or memory as a rule.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves a page that shows what the program does, at `http://` and the address that it returns.
/// Go's `net/http/pprof`.
///
/// It binds, and returns; threads of its own serve from then on, as long as the process lives. So
/// the page also answers while goroutines hold all workers. The page shows the goroutines by what
/// they wait for, [deadlocks](super#deadlocks), what each worker does, and the figures of
/// [`metrics`](super::metrics()). These are the paths:
///
/// | path | answer |
/// |---|---|
/// | `/` | the page |
/// | `/metrics` | [`Metrics::write_prometheus`](super::Metrics::write_prometheus) |
/// | `/debug/goroutines` | `format=text`: a [`dump`](super::dump()) without frames; `format=json`: the goroutines counted by spawn site and state, those that contain the text `q` |
/// | `/debug/group` | JSON: goroutines with the spawn site `site` and the `state`, with frames, 20 from the number `offset` on |
/// | `/debug/state` | JSON: figures, workers, and the same counts of goroutines |
/// | `/debug/deadlocks`, `/debug/leaks` | JSON: goroutines that wait for ever |
/// | `/debug/dump` | a dump with frames; of all goroutines with `all=1` |
/// | `/debug/profile` | a [`profile`](super::profile()) of `seconds` (5; up to 60), `format=table`, `folded` or `pprof` |
/// | `/debug/trace` | a [trace](crate::trace) of `seconds` (2; up to 30) in Perfetto's format |
///
/// A profile goes on to its end when its client has left; a trace ends.
///
/// The runtime does not know the server's threads. So if all goroutines wait, the program does not
/// end with `all goroutines are asleep`: after 10 s it writes [a warning](super#deadlocks), and the
/// page goes on to show what they wait for.
///
/// # Security
///
/// The page has no password. It shows names, spawn sites and calls of the program, and lets every
/// process of this machine make profiles and traces, one of each at a time. It changes nothing in
/// the program: it accepts only GET and HEAD.
///
/// Only addresses of the loopback interface are served, and only to requests whose `Host` is one or
/// is `localhost`. So a page of another site cannot read an answer, even if it makes its own name
/// point to this machine (DNS rebinding). What a browser sends for another site's page is refused.
/// [`ServeOptions::allow_remote`] serves other addresses. To look at a program on another machine
/// without it, forward the port: `ssh -L 6060:localhost:6060 HOST`.
///
/// At most 32 connections are open at a time, each for one request of at most 8 KiB, which has to
/// arrive within 5 s.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if an address is not of the loopback interface;
/// the system's errors, such as [`AddrInUse`](io::ErrorKind::AddrInUse). (A name is looked up on
/// the calling thread, which blocks meanwhile.)
///
/// ```
/// let address = go_runtime::debug::serve("127.0.0.1:0")?; // 6060 by custom; 0 is any free port
/// println!("look at http://{address}");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serve(addresses: impl ToSocketAddrs) -> io::Result<SocketAddr> {
    ServeOptions::new().serve(addresses)
}

/// How [`serve`] serves.
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "options do nothing until their serve method is called"]
pub struct ServeOptions {
    allow_remote: bool,
}

impl ServeOptions {
    /// The options of a server for this machine only.
    pub fn new() -> ServeOptions {
        ServeOptions::default()
    }

    /// Whether addresses that other machines can reach are served, by any name: not by default.
    ///
    /// Then every process that reaches the address may look, and the name in `Host` is not checked,
    /// because the names of this machine are not known. So a page of another site can read the
    /// answers by way of a browser that reaches the address (DNS rebinding). It is for networks of
    /// trusted processes, such as that of a container.
    pub fn allow_remote(mut self, allow_remote: bool) -> ServeOptions {
        self.allow_remote = allow_remote;
        self
    }

    /// Binds to the first of the addresses that it can, and serves the page there; see [`serve`].
    ///
    /// # Errors
    /// The errors of [`serve`]; with [`allow_remote`](ServeOptions::allow_remote) any address may
    /// be given.
    ///
    /// ```
    /// use go_runtime::debug::ServeOptions;
    ///
    /// let address = ServeOptions::new().allow_remote(true).serve("0.0.0.0:0")?;
    /// println!("look at port {} of this machine", address.port());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn serve(self, addresses: impl ToSocketAddrs) -> io::Result<SocketAddr> {
        let addresses: Vec<_> = addresses.to_socket_addrs()?.collect();
        let remote = addresses.iter().find(|address| !address.ip().is_loopback());
        if let (Some(address), false) = (remote, self.allow_remote) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "other machines can reach {address}, and the page has no password: serve it \
                     at 127.0.0.1, or say ServeOptions::new().allow_remote(true)"
                ),
            ));
        }
        let listener = TcpListener::bind(&*addresses)?;
        let address = listener.local_addr()?;
        let slots = Slots::new(MAX_CONNECTIONS);
        uncaptured::spawn(thread_builder(), move || accept(&listener, &slots, self))?;
        Ok(address)
    }
}

fn thread_builder() -> thread::Builder {
    thread::Builder::new().name("go-debug".into())
}

/// Accepts connections for ever, and starts a thread for each.
fn accept(listener: &TcpListener, slots: &Slots, options: ServeOptions) {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(_) => {
                thread::sleep(PAUSE);
                continue;
            }
        };
        let Some(slot) = slots.take() else {
            refuse(&stream);
            continue;
        };
        // (Without a thread for it, the connection is closed.)
        let _ = uncaptured::spawn(thread_builder(), move || {
            serve_one(&stream, options, routes::answer);
            drop((stream, slot));
        });
    }
}

/// Tells a client that there are too many, without waiting for it.
fn refuse(stream: &TcpStream) {
    if stream.set_nonblocking(true).is_ok() {
        let text = "there are too many connections; try again later";
        let _ = Wire::new(stream, Instant::now() + LINGER)
            .refuse(&Refusal::new(SERVICE_UNAVAILABLE, text));
    }
}

/// Reads a request, answers it, and ends the connection.
fn serve_one(
    stream: &TcpStream,
    options: ServeOptions,
    answer: impl FnOnce(&Request, &mut Wire<'_>) -> Result<(), Failed>,
) {
    let _ = stream.set_nodelay(true);
    let request = request::read(
        stream,
        Instant::now() + REQUEST_WITHIN,
        options.allow_remote,
    );
    let mut wire = Wire::new(stream, Instant::now() + ANSWER_WITHIN);
    let answered = request.and_then(|request| {
        wire.set_form(&request);
        let answered = panic::catch_unwind(AssertUnwindSafe(|| answer(&request, &mut wire)));
        answered.unwrap_or_else(|payload| {
            // The payload's own `Drop` could panic as well.
            std::mem::forget(payload);
            Err(Refusal::new(INTERNAL_ERROR, "the answer could not be made: it panicked").into())
        })
    });
    let end = match answered {
        Ok(()) => Ok(()),
        // An answer that has begun cannot be taken back: it ends too early, which clients notice.
        Err(Failed::Refused(_)) if wire.has_begun() => return,
        Err(Failed::Refused(refusal)) => wire.refuse(&refusal),
        Err(Failed::Gone) => return,
    };
    if end.is_ok() {
        linger(stream);
    }
}

/// Ends the output, and reads what the client still sends, for a while: a connection that is closed
/// while there is unread data is reset, and the answer may be lost with it.
fn linger(stream: &TcpStream) {
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let deadline = Instant::now() + LINGER;
    let (mut buffer, mut read) = ([0; 4096], 0);
    while read < LINGER_BYTES {
        match wire::read_until(stream, deadline, &mut buffer) {
            Ok(n @ 1..) => read += n,
            _ => return,
        }
    }
}

/// Why a request has no answer of its own.
enum Failed {
    /// The client is told why.
    Refused(Refusal),
    /// The client is gone, or too slow to be told anything.
    Gone,
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Failed {
        Failed::Refused(refusal)
    }
}

impl From<io::Error> for Failed {
    /// (Only the client's connection fails with such an error.)
    fn from(_: io::Error) -> Failed {
        Failed::Gone
    }
}

/// Places for connections, or for work of which there may be only so much at a time.
#[derive(Clone)]
struct Slots {
    free: Arc<AtomicUsize>,
}

/// A place, which is free again when this is dropped.
struct Slot {
    free: Arc<AtomicUsize>,
}

impl Slots {
    fn new(count: usize) -> Slots {
        Slots {
            free: Arc::new(AtomicUsize::new(count)),
        }
    }

    /// Returns a place if one is free.
    fn take(&self) -> Option<Slot> {
        let take = |free: usize| free.checked_sub(1);
        let taken = self
            .free
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, take);
        taken.ok().map(|_| Slot {
            free: Arc::clone(&self.free),
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.free.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// Returns what a client gets that has sent this request.
    fn answered(
        request: &str,
        answer: impl FnOnce(&Request, &mut Wire<'_>) -> Result<(), Failed>,
    ) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        serve_one(&stream, ServeOptions::new(), answer);
        drop(stream);
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    #[test]
    fn a_panic_is_an_answer() {
        let text = answered(GET, |_, _| panic!("on purpose"));
        assert!(text.starts_with("HTTP/1.1 500 "), "{text}");
        assert!(!text.contains("on purpose"), "{text}");
    }

    #[test]
    fn an_answer_that_fails_halfway_has_no_end() {
        let text = answered(GET, |_, wire| {
            let mut body = wire.stream(wire::PLAIN)?;
            body.write_all(b"some")?;
            body.flush()?;
            panic!("on purpose");
        });
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        assert!(text.ends_with("\r\n\r\n4\r\nsome\r\n"), "{text}");
    }

    #[test]
    fn places() {
        let slots = Slots::new(2);
        let (one, other) = (slots.take(), slots.take());
        assert!(one.is_some() && other.is_some() && slots.take().is_none());
        drop(one);
        assert!(slots.take().is_some());
    }
}
