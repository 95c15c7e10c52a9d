//! One connection, from its first byte to its end.
//!
//! While it is idle it has no buffers, only some bytes of its stack: those of the pool are for
//! connections that have something to do.

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

/// Enough for the requests that most clients send. What is not used costs nothing: that page of the
/// stack is there anyway.
const FIRST: usize = 1 << 10;

/// What all connections share.
pub(crate) struct Server {
    pub(crate) limits: Limits,
    /// Closed when the server is to stop.
    pub(crate) done: Receiver<()>,
    /// `done` is closed: what a request can see without a lock.
    pub(crate) stopping: AtomicBool,
    pub(crate) buffers: Pool<Buffers>,
}

/// How an exchange has ended.
enum End {
    /// All is answered, and there may be more.
    Open,
    Closed,
    /// Closed by the server, while the client may still be sending.
    Refused,
}

/// Answers until the connection or the server ends.
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
        // The end, or an error, which is the end as well: nobody waits for an answer.
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

/// What has come already: the server stops, but this is answered.
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

/// The next head, which is there in part or in whole.
fn head(server: &Server, wire: &mut Wire<'_>) -> Result<Head, Failed> {
    let max = server.limits.max_header_bytes;
    wire.begin(server.limits.header_timeout);
    loop {
        if let Some(head) = request::parse(wire.unread(), max)? {
            return Ok(head);
        }
        // Only the end of a line can make it complete, so single bytes need not be parsed over and
        // over.
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

/// Answers one request; whether the connection goes on.
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
            // It need not be sent; whether it will be all the same is not known, and so not where
            // the next request begins.
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
