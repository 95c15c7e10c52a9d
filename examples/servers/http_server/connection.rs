//! A connection, from its first byte to its end.
//!
//! An idle connection holds no buffers, only some bytes of its stack: the buffers of the pool are
//! for connections with a request to answer.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use go_runtime::channel::Receiver;
use go_runtime::sync::Pool;

use crate::answer::{Answer, BAD_REQUEST, CONTINUE, Form, PLAIN};
use crate::body::{self, Failed};
use crate::buffers::Buffers;
use crate::limits::Limits;
use crate::request::{self, Body, Head, Method, Refused};
use crate::routes::{Next, Route};
use crate::wire::Wire;
use go_example_servers::server::linger;
use go_runtime::net::{self, TcpStream};

/// Size in bytes of the first read, enough for most requests. Unused bytes cost nothing, because
/// that page of the stack is touched anyway.
const FIRST: usize = 1 << 10;

/// The state that all connections share.
pub(crate) struct Server {
    pub(crate) limits: Limits,
    /// Closed when the server stops.
    pub(crate) done: Receiver<()>,
    /// Whether `done` is closed; a request can read it without a lock.
    pub(crate) stopping: AtomicBool,
    pub(crate) buffers: Pool<Buffers>,
}

/// How an exchange has ended.
enum End {
    /// All requests are answered, and more may follow.
    Open,
    Closed,
    /// The server closes the connection, while the client may still be sending.
    Refused,
}

/// Answers requests until the connection or the server ends.
pub(crate) fn serve(server: &Server, stream: &TcpStream) {
    let mut timeout = server.limits.header_timeout;
    loop {
        let mut first = [0; FIRST];
        if stream
            .set_read_deadline(Some(Instant::now() + timeout))
            .is_err()
        {
            return;
        }
        // An error is like the end of the stream: no request is waiting for an answer.
        let n = match stream.with_done(&server.done).read(&mut first) {
            Ok(n @ 1..) => n,
            Err(error) if net::is_done(&error) => match read_at_once(stream, &mut first) {
                Ok(n @ 1..) => {
                    server.stopping.store(true, Ordering::Relaxed);
                    n
                }
                _ => return,
            },
            _ => return,
        };
        match exchange(server, stream, &first[..n]) {
            End::Open => timeout = server.limits.idle_timeout,
            End::Closed => return,
            End::Refused => return linger(stream),
        }
    }
}

/// Reads a request that arrived before the server began to stop, and that the server still answers.
fn read_at_once(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    stream.set_nonblocking(true)?;
    let read = stream.read(buffer);
    stream.set_nonblocking(false)?;
    read
}

/// Answers all requests that begin with `first`, until there is nothing left to read.
#[inline(never)]
fn exchange(server: &Server, stream: &TcpStream, first: &[u8]) -> End {
    let mut buffers = server.buffers.get();
    buffers.input.extend(first);
    let mut wire = Wire::new(stream, &mut buffers, server.limits.write_timeout);
    let end = match requests(server, &mut wire) {
        Ok(end) => end,
        Err(Failed::Refused(Refused { status, why })) => {
            Answer::new(status, PLAIN, format!("{why}\n").as_bytes())
                .put(Form::LAST, wire.output());
            End::Refused
        }
        Err(Failed::Gone) => {
            buffers.reset();
            return End::Closed;
        }
    };
    let end = match wire.flush() {
        Ok(()) => end,
        Err(_) => End::Closed,
    };
    buffers.reset();
    end
}

fn requests(server: &Server, wire: &mut Wire<'_>) -> Result<End, Failed> {
    loop {
        let head = head(server, wire)?;
        let keep_alive = answer(server, wire, &head)?;
        if !keep_alive {
            return Ok(
                if wire.unread().is_empty() && head.keep_alive == keep_alive {
                    End::Closed
                } else {
                    End::Refused
                },
            );
        }
        if wire.unread().is_empty() {
            return Ok(End::Open);
        }
        wire.flush_if_large().map_err(|_| Failed::Gone)?;
    }
}

/// Returns the next head, of which at least a part has arrived.
fn head(server: &Server, wire: &mut Wire<'_>) -> Result<Head, Failed> {
    let max = server.limits.max_header_bytes;
    wire.begin(server.limits.header_timeout);
    loop {
        if let Some(head) = request::parse(wire.unread(), max)? {
            return Ok(head);
        }
        // Only the end of a line can complete the head, so a head that arrives byte by byte is not
        // parsed again for every byte.
        loop {
            match wire.fill() {
                Ok(0) => {
                    return Err(Failed::Refused(Refused {
                        status: BAD_REQUEST,
                        why: "the header ends too early",
                    }));
                }
                Ok(n) => {
                    let unread = wire.unread();
                    if unread[unread.len() - n..].contains(&b'\n') || unread.len() >= max {
                        break;
                    }
                }
                Err(error) => return Err(body::failed(&error, "the header took too long")),
            }
        }
    }
}

/// Answers one request. Returns whether the connection continues.
fn answer(server: &Server, wire: &mut Wire<'_>, head: &Head) -> Result<bool, Failed> {
    let route = Route::new(head.method, &wire.unread()[head.target.clone()]);
    wire.consume(head.len);
    let max = server.limits.max_body_bytes;
    body::check(head.body, max)?;

    let mut form = Form {
        version_1_1: head.version_1_1,
        keep_alive: head.keep_alive,
        without_body: head.method == Method::Head,
    };
    let mut content = Vec::new();
    if head.body != Body::Length(0) {
        let wanted = route == Route::Echo;
        let waits = head.expects_continue && wire.unread().is_empty();
        if waits && !wanted {
            // The client need not send the body now. The server cannot know whether the client
            // does, nor where the next request begins.
            form.keep_alive = false;
        } else {
            if waits {
                wire.output().extend_from_slice(CONTINUE);
            }
            wire.begin(server.limits.body_timeout);
            body::read(wire, head.body, max, wanted.then_some(&mut content))?;
        }
    }
    if route.parks() {
        wire.flush().map_err(|_| Failed::Gone)?;
    }
    form.keep_alive &= !server.stopping.load(Ordering::Relaxed);
    match route.answer(&content, form, &server.done, wire.output()) {
        Next::AsSaid => Ok(form.keep_alive),
        Next::Close => Ok(false),
    }
}
