//! Fetches a page: a connection, a request, an answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::ToSocketAddrs;
use std::time::Duration;

use go_runtime::blocking;
use go_runtime::context::Context;
use httparse::{EMPTY_HEADER, Status};

use crate::url::Url;
use go_runtime::net::TcpStream;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of a page with its header, in bytes; a larger page is an error.
const MAX_BYTES: usize = 4 << 20;

pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Fetches a page, unless `ctx` ends first.
///
/// # Errors
/// The system's errors; `InvalidData` if the answer is invalid; an error that
/// [`is_done`](go_runtime::net::is_done) recognizes if `ctx` has ended.
pub(crate) fn fetch(ctx: &Context, url: &Url) -> io::Result<Page> {
    let name = url.host_and_port();
    // Looking up a name blocks.
    let addresses = blocking(|| name.to_socket_addrs())?;
    let mut failed = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return ask(ctx, url, &stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn ask(ctx: &Context, url: &Url, stream: &TcpStream) -> io::Result<Page> {
    let mut stream = stream.with_done(ctx.done());
    let Url { host, path } = url;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_BYTES as u64 + 1).read_to_end(&mut answer)?;
    if answer.len() > MAX_BYTES {
        return Err(invalid("the page is too large"));
    }
    page(answer)
}

fn page(mut answer: Vec<u8>) -> io::Result<Page> {
    let mut headers = [EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(&answer) {
        Ok(Status::Complete(len)) => len,
        Ok(Status::Partial) => return Err(ErrorKind::UnexpectedEof.into()),
        Err(_) => return Err(invalid("the answer is malformed")),
    };
    let header = |name: &str| {
        let named = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
        response.headers.iter().find(named)
    };
    if header("transfer-encoding").is_some() {
        return Err(invalid(
            "the answer is encoded, which this crawler cannot read",
        ));
    }
    // Without a length, the end of the connection ends the page.
    if let Some(length) = header("content-length") {
        let length = str::from_utf8(length.value)
            .ok()
            .and_then(|text| text.parse::<usize>().ok())
            .ok_or_else(|| invalid("the length is malformed"))?;
        if answer.len() - head < length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let status = response.code.unwrap_or_default();
    answer.drain(..head);
    Ok(Page {
        status,
        body: answer,
    })
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let text = "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc";
        let got = page(text.as_bytes().to_vec()).unwrap();
        assert_eq!((got.status, &*got.body), (404, &b"abc"[..]));
        for end in 0..text.len() {
            let error = page(text.as_bytes()[..end].to_vec()).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{end}");
        }
        for bad in [
            "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            let error = page(bad.as_bytes().to_vec()).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{bad}");
        }
    }
}
