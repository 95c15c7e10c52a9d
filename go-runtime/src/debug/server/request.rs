//! Reads a request, and refuses what is malformed, not for this server, or another site's.

use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::ops::RangeInclusive;
use std::time::Instant;

use httparse::{EMPTY_HEADER, Error as Malformed, Header, Status as Parsed};

use super::Failed;
use super::wire::{
    BAD_REQUEST, FORBIDDEN, HEADER_TOO_LARGE, METHOD_NOT_ALLOWED, MISDIRECTED, REQUEST_TIMEOUT,
    Refusal, VERSION_NOT_SUPPORTED, read_until,
};

/// Maximum size of a request's head, in bytes. (No request has a body here.)
const MAX_HEAD: usize = 8 << 10;
const MAX_HEADERS: usize = 64;

pub(super) struct Request {
    /// Whether the method is HEAD; otherwise it is GET.
    pub(super) is_head: bool,
    pub(super) is_1_1: bool,
    pub(super) path: String,
    pub(super) query: Query,
}

/// Reads a request. What follows it is not read: there is one request on a connection.
pub(super) fn read(
    stream: &TcpStream,
    deadline: Instant,
    allow_remote: bool,
) -> Result<Request, Failed> {
    let (mut head, mut length) = (vec![0; MAX_HEAD], 0);
    loop {
        if length == MAX_HEAD {
            return Err(Refusal::new(HEADER_TOO_LARGE, "the request is larger than 8 KiB").into());
        }
        let n = match read_until(stream, deadline, &mut head[length..]) {
            // A client that sends nothing need not be told. (Browsers open such connections.)
            Ok(0) | Err(_) if length == 0 => return Err(Failed::Gone),
            Ok(0) => return Err(bad("the request ends too early").into()),
            Ok(n) => n,
            Err(_) => {
                return Err(Refusal::new(REQUEST_TIMEOUT, "the request took too long").into());
            }
        };
        length += n;
        // Only the end of a line completes a head: one that comes byte by byte is not parsed again
        // for each byte.
        if head[length - n..length].contains(&b'\n')
            && let Some(request) = parse(&head[..length], allow_remote)?
        {
            return Ok(request);
        }
    }
}

fn bad(text: &'static str) -> Refusal {
    Refusal::new(BAD_REQUEST, text)
}

/// Returns the request, or `None` if its head is not complete.
fn parse(bytes: &[u8], allow_remote: bool) -> Result<Option<Request>, Refusal> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(Parsed::Complete(_)) => {}
        Ok(Parsed::Partial) => return Ok(None),
        Err(Malformed::TooManyHeaders) => {
            return Err(Refusal::new(
                HEADER_TOO_LARGE,
                "there are more than 64 headers",
            ));
        }
        Err(Malformed::Version) => {
            let text = "this server speaks HTTP/1.1 and HTTP/1.0";
            return Err(Refusal::new(VERSION_NOT_SUPPORTED, text));
        }
        Err(_) => return Err(bad("this is no HTTP request")),
    }
    let headers = &*head.headers;
    // Before the method: a page that has no business here need not learn what is served.
    let host = one(headers, "Host")?.ok_or_else(|| bad("the request has no Host"))?;
    if !allow_remote && !is_loopback(host) {
        return Err(Refusal::new(
            MISDIRECTED,
            "only requests for localhost, 127.0.0.1 or [::1] are answered: see \
             ServeOptions::allow_remote",
        ));
    }
    let target = head.path.unwrap_or_default();
    if !target.starts_with('/') {
        return Err(bad("the target of the request is no path"));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    refuse_foreign(headers, host, path)?;
    let is_head = match head.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => {
            return Err(Refusal::new(
                METHOD_NOT_ALLOWED,
                "only GET and HEAD are allowed",
            ));
        }
    };
    let length = one(headers, "Content-Length")?.unwrap_or("0");
    if length != "0" || one(headers, "Transfer-Encoding")?.is_some() {
        return Err(bad("the request has a body, which no path here takes"));
    }
    Ok(Some(Request {
        is_head,
        is_1_1: head.version == Some(1),
        path: path.to_owned(),
        query: Query::parse(query)?,
    }))
}

/// Returns the value of a header that may come once.
fn one<'a>(headers: &[Header<'a>], name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut all = headers
        .iter()
        .filter(|one| one.name.eq_ignore_ascii_case(name));
    let first = all.next();
    if all.next().is_some() {
        return Err(bad("a header comes twice that may come once"));
    }
    let value = first.map(|header| std::str::from_utf8(header.value));
    value.transpose().map_err(|_| bad("a header is not UTF-8"))
}

/// Returns whether the value of `Host` names the loopback interface. Its port may be any, since a
/// port may be forwarded.
fn is_loopback(host: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((address, rest)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let address = address.parse::<Ipv6Addr>();
        return address.is_ok_and(|address| address.is_loopback())
            && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let address = name.parse::<Ipv4Addr>();
    is_port(port)
        && (name.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.is_loopback()))
}

/// Refuses what a browser sends on behalf of a page of another site. It would not show the answer
/// to that page, but the work would be done. (The page itself is no work, and a link to it is all
/// right.) What is no browser sends none of these headers.
fn refuse_foreign(headers: &[Header<'_>], host: &str, path: &str) -> Result<(), Refusal> {
    let foreign = Refusal::new(FORBIDDEN, "the request comes from a page of another site");
    if let Some(origin) = one(headers, "Origin")? {
        let ours = ["http://", "https://"].map(|scheme| origin.strip_prefix(scheme));
        if !ours.contains(&Some(host)) {
            return Err(foreign);
        }
    }
    match one(headers, "Sec-Fetch-Site")? {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) if path == "/" => Ok(()),
        Some(_) => Err(foreign),
    }
}

/// The parameters of a request.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Result<Query, Refusal> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        let pairs: Option<Vec<_>> = pairs.collect();
        let pairs = pairs.ok_or_else(|| bad("the query is not URL-encoded UTF-8"))?;
        Ok(Query(pairs))
    }

    /// Refuses parameters that the path does not know, and those that are given twice.
    pub(super) fn may_have(&self, known: &[&str]) -> Result<(), Refusal> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&&**name) {
                return Err(bad(
                    "the query has a parameter that this path does not know",
                ));
            }
            if self.0[..index].iter().any(|(other, _)| other == name) {
                return Err(bad("the query has a parameter twice"));
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(this, _)| this == name);
        found.map(|(_, value)| &**value)
    }

    /// Returns a number in this range, or the default; `text` says what is allowed.
    pub(super) fn number(
        &self,
        name: &str,
        default: usize,
        range: RangeInclusive<usize>,
        text: &'static str,
    ) -> Result<usize, Refusal> {
        let Some(value) = self.get(name) else {
            return Ok(default);
        };
        let number = value.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| bad(text))
    }

    /// Returns which of these values the parameter has; the first one if it is not given.
    pub(super) fn one_of<'a>(
        &self,
        name: &str,
        values: &[&'a str],
        text: &'static str,
    ) -> Result<&'a str, Refusal> {
        let Some(value) = self.get(name) else {
            return Ok(values[0]);
        };
        let found = values.iter().find(|one| **one == value);
        found.copied().ok_or_else(|| bad(text))
    }
}

/// Decodes `%41` and `+`.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for host in [
            "localhost",
            "LOCALHOST:6060",
            "127.0.0.1",
            "127.0.0.1:6060",
            "127.9.8.7:1",
            "[::1]",
            "[::1]:6060",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "localhost:",
            "localhost:x",
            "localhost.evil.example",
            "evil.localhost",
            "evil.example:6060",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "10.0.0.1",
            "0.0.0.0:6060",
            "[::]",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "::1",
            "[127.0.0.1]",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn decoding() {
        assert_eq!(decode("a+b%20c%3a%C3%BC").as_deref(), Some("a b c:ü"));
        for text in ["%", "%4", "%4x", "%+1", "%ff"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
