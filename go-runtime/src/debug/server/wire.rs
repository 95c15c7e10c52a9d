//! What is written to a client, with a deadline: heads, bodies, and bodies in chunks.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::request::Request;

pub(super) type Status = &'static str;

pub(super) const OK: Status = "200 OK";
pub(super) const BAD_REQUEST: Status = "400 Bad Request";
pub(super) const FORBIDDEN: Status = "403 Forbidden";
pub(super) const NOT_FOUND: Status = "404 Not Found";
pub(super) const METHOD_NOT_ALLOWED: Status = "405 Method Not Allowed";
pub(super) const REQUEST_TIMEOUT: Status = "408 Request Timeout";
pub(super) const CONFLICT: Status = "409 Conflict";
pub(super) const MISDIRECTED: Status = "421 Misdirected Request";
pub(super) const HEADER_TOO_LARGE: Status = "431 Request Header Fields Too Large";
pub(super) const INTERNAL_ERROR: Status = "500 Internal Server Error";
pub(super) const SERVICE_UNAVAILABLE: Status = "503 Service Unavailable";
pub(super) const VERSION_NOT_SUPPORTED: Status = "505 HTTP Version Not Supported";

pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const JSON: &str = "application/json";
pub(super) const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
pub(super) const BYTES: &str = "application/octet-stream";

/// What all answers say to the browser: keep no copy, believe the content type, run and load
/// nothing, and let no page of another site show or read the answer or hold a handle to its window.
const GUARDS: &str = "\
    Cache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\n\
    X-Frame-Options: DENY\r\n\
    Referrer-Policy: no-referrer\r\n\
    Connection: close\r\n";
const NO_CONTENT: &str = "default-src 'none'; frame-ancestors 'none'";

/// Size of the chunks of a body, in bytes.
const CHUNK: usize = 16 << 10;

/// The reason why a request is not answered as it asks, for the client.
pub(super) struct Refusal {
    status: Status,
    text: &'static str,
}

impl Refusal {
    pub(super) fn new(status: Status, text: &'static str) -> Refusal {
        Refusal { status, text }
    }
}

/// A connection to which one answer is written.
pub(super) struct Wire<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
    begun: bool,
    without_body: bool,
    chunked: bool,
}

impl<'a> Wire<'a> {
    pub(super) fn new(stream: &'a TcpStream, deadline: Instant) -> Wire<'a> {
        Wire {
            stream,
            deadline,
            begun: false,
            without_body: false,
            chunked: true,
        }
    }

    /// Lets the answer have the form that this request wants.
    pub(super) fn set_form(&mut self, request: &Request) {
        self.without_body = request.is_head;
        self.chunked = request.is_1_1;
    }

    /// Gives the client this much more time.
    pub(super) fn extend_deadline(&mut self, by: Duration) {
        self.deadline += by;
    }

    /// Returns whether the client has closed its end of the connection. (One that still waits for
    /// its answer does not.)
    pub(super) fn client_is_gone(&self) -> bool {
        let moment = Some(Duration::from_millis(1));
        if self.stream.set_read_timeout(moment).is_err() {
            return true;
        }
        match self.stream.peek(&mut [0]) {
            Ok(n) => n == 0,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
            ),
        }
    }

    /// Returns whether a part of the answer may have been written.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Answers with the reason for a refusal.
    pub(super) fn refuse(&mut self, refusal: &Refusal) -> io::Result<()> {
        let text = format!("{}\n", refusal.text);
        let allow = match refusal.status {
            METHOD_NOT_ALLOWED => "Allow: GET, HEAD\r\n",
            _ => "",
        };
        self.write(refusal.status, PLAIN, NO_CONTENT, allow, text.as_bytes())
    }

    /// Answers with this body.
    pub(super) fn answer(&mut self, content_type: &str, body: &[u8]) -> io::Result<()> {
        self.write(OK, content_type, NO_CONTENT, "", body)
    }

    /// Answers with a page, which may load what the policy says.
    pub(super) fn page(&mut self, policy: &str, body: &[u8]) -> io::Result<()> {
        self.write(OK, HTML, policy, "", body)
    }

    fn write(
        &mut self,
        status: Status,
        content_type: &str,
        policy: &str,
        more: &str,
        body: &[u8],
    ) -> io::Result<()> {
        let length = body.len();
        let more = format!("{more}Content-Length: {length}\r\n");
        let mut answer = self.head(status, content_type, policy, &more);
        if !self.without_body {
            answer.extend_from_slice(body);
        }
        self.begun = true;
        write_until(self.stream, self.deadline, &answer)
    }

    fn head(&self, status: Status, content_type: &str, policy: &str, more: &str) -> Vec<u8> {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n\
             Content-Security-Policy: {policy}\r\n{GUARDS}{more}\r\n"
        )
        .into_bytes()
    }

    /// Begins an answer whose length is not known. It has to be [finished](Stream::finish).
    pub(super) fn stream(&mut self, content_type: &str) -> io::Result<Stream> {
        let more = match self.chunked {
            true => "Transfer-Encoding: chunked\r\n",
            // The end of the connection ends the body.
            false => "",
        };
        let head = self.head(OK, content_type, NO_CONTENT, more);
        self.begun = true;
        write_until(self.stream, self.deadline, &head)?;
        Ok(Stream {
            stream: self.stream.try_clone()?,
            deadline: self.deadline,
            chunked: self.chunked,
            without_body: self.without_body,
            buffer: Vec::new(),
        })
    }
}

/// The body of an answer, written as it is made. If it is not finished, the client notices.
pub(super) struct Stream {
    stream: TcpStream,
    deadline: Instant,
    chunked: bool,
    without_body: bool,
    buffer: Vec<u8>,
}

impl Stream {
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        if self.chunked && !self.without_body {
            write_until(&self.stream, self.deadline, b"0\r\n\r\n")?;
        }
        Ok(())
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.without_body {
            self.buffer.extend_from_slice(bytes);
            if self.buffer.len() >= CHUNK {
                self.flush()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.chunked {
            let size = format!("{:x}\r\n", self.buffer.len());
            self.buffer.splice(..0, size.bytes());
            self.buffer.extend_from_slice(b"\r\n");
        }
        let written = write_until(&self.stream, self.deadline, &self.buffer);
        self.buffer.clear();
        written
    }
}

/// Returns the time until the deadline, or an error if there is none left. (std refuses a timeout
/// of zero.)
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}

/// Reads some bytes, with a deadline for the caller's whole work and not for this read alone.
pub(super) fn read_until(
    mut stream: &TcpStream,
    deadline: Instant,
    buffer: &mut [u8],
) -> io::Result<usize> {
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Writes all bytes, with a deadline for the caller's whole work.
fn write_until(mut stream: &TcpStream, deadline: Instant, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
