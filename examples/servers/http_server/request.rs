//! The head of a request: its target, and how many bytes belong to it.
//!
//! A request that two parties could read in two ways is refused, because ambiguous requests can be
//! smuggled past a proxy in front of the server.

use std::ops::Range;

use httparse::{EMPTY_HEADER, Error, Header, Status as Parsed};

use crate::answer::{
    BAD_REQUEST, HEADER_TOO_LARGE, NOT_IMPLEMENTED, Status, VERSION_NOT_SUPPORTED,
};

/// Number of headers that is enough for most requests. A request with more is parsed again with
/// more room, so that the larger array need not be on every stack.
const USUAL_HEADERS: usize = 24;
const MOST_HEADERS: usize = 128;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    Length(u64),
    Chunked,
}

/// A parsed head. It borrows nothing: positions refer to the bytes that were parsed.
#[derive(Debug)]
pub(crate) struct Head {
    /// Length of the head in bytes, with the empty line.
    pub(crate) len: usize,
    pub(crate) method: Method,
    pub(crate) target: Range<usize>,
    /// HTTP/1.1, not 1.0.
    pub(crate) version_1_1: bool,
    pub(crate) keep_alive: bool,
    pub(crate) body: Body,
    pub(crate) expects_continue: bool,
}

/// Why a request is refused; no further answer follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    pub(crate) status: Status,
    pub(crate) why: &'static str,
}

fn bad(why: &'static str) -> Refused {
    Refused {
        status: BAD_REQUEST,
        why,
    }
}

const TOO_LARGE: Refused = Refused {
    status: HEADER_TOO_LARGE,
    why: "the header is too large",
};

/// Parses the head that these bytes begin with. Returns `None` while it is incomplete.
pub(crate) fn parse(bytes: &[u8], max: usize) -> Result<Option<Head>, Refused> {
    let head = match parse_with::<USUAL_HEADERS>(bytes) {
        Err(Error::TooManyHeaders) => parse_long(bytes),
        result => result,
    };
    match head {
        Ok(Some(head)) if head.as_ref().is_ok_and(|head| head.len > max) => Err(TOO_LARGE),
        Ok(Some(head)) => head.map(Some),
        Ok(None) if bytes.len() >= max => Err(TOO_LARGE),
        Ok(None) => Ok(None),
        Err(Error::TooManyHeaders) => Err(TOO_LARGE),
        Err(Error::Version) => Err(Refused {
            status: VERSION_NOT_SUPPORTED,
            why: "this is for HTTP/1.0 and HTTP/1.1",
        }),
        Err(_) => Err(bad("the header is malformed")),
    }
}

#[cold]
#[inline(never)]
fn parse_long(bytes: &[u8]) -> Result<Option<Result<Head, Refused>>, Error> {
    parse_with::<MOST_HEADERS>(bytes)
}

fn parse_with<const N: usize>(bytes: &[u8]) -> Result<Option<Result<Head, Refused>>, Error> {
    let mut headers = [EMPTY_HEADER; N];
    let mut request = httparse::Request::new(&mut headers);
    let Parsed::Complete(len) = request.parse(bytes)? else {
        return Ok(None);
    };
    let (method, target) = (
        request.method.unwrap_or_default(),
        request.path.unwrap_or_default(),
    );
    let start = target.as_ptr().addr() - bytes.as_ptr().addr();
    let version_1_1 = request.version == Some(1);
    Ok(Some(fields(request.headers, version_1_1).map(|fields| {
        Head {
            len,
            method: match method {
                "GET" => Method::Get,
                "HEAD" => Method::Head,
                "POST" => Method::Post,
                _ => Method::Other,
            },
            target: start..start + target.len(),
            version_1_1,
            ..fields
        }
    })))
}

/// Evaluates the header fields, and leaves the rest of the head open.
fn fields(headers: &[Header<'_>], version_1_1: bool) -> Result<Head, Refused> {
    let mut hosts = 0;
    let mut length = None;
    let mut chunked = false;
    let (mut close, mut keep) = (false, false);
    let mut expects_continue = false;
    for Header { name, value } in headers {
        // Most names differ from these already in their length.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => hosts += 1,
            6 if name.eq_ignore_ascii_case("expect") => {
                // HTTP defines no other expectation, and a server may ignore unknown ones.
                expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
            }
            10 if name.eq_ignore_ascii_case("connection") => {
                for token in value.split(|&byte| byte == b',') {
                    let token = token.trim_ascii();
                    close |= token.eq_ignore_ascii_case(b"close");
                    keep |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                let this = number(value).ok_or(bad("Content-Length is not a number"))?;
                if length.is_some_and(|length| length != this) {
                    return Err(bad("two different Content-Lengths"));
                }
                length = Some(this);
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if chunked {
                    return Err(bad("more than one Transfer-Encoding"));
                }
                if !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Refused {
                        status: NOT_IMPLEMENTED,
                        why: "the only Transfer-Encoding here is chunked",
                    });
                }
                chunked = true;
            }
            _ => {}
        }
    }
    if chunked && length.is_some() {
        return Err(bad("both Transfer-Encoding and Content-Length"));
    }
    if chunked && !version_1_1 {
        return Err(bad("HTTP/1.0 has no Transfer-Encoding"));
    }
    if hosts > 1 || hosts == 0 && version_1_1 {
        return Err(bad("there has to be one Host"));
    }
    Ok(Head {
        len: 0,
        method: Method::Other,
        target: 0..0,
        version_1_1,
        keep_alive: !close && (version_1_1 || keep),
        body: if chunked {
            Body::Chunked
        } else {
            Body::Length(length.unwrap_or(0))
        },
        expects_continue: expects_continue && version_1_1,
    })
}

/// Parses digits only: no sign, no list.
fn number(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<Head>, u16> {
        parse(text.as_bytes(), 8192).map_err(|refused| refused.status.code)
    }

    #[test]
    fn bodies() {
        for (fields, body) in [
            ("", Ok(Body::Length(0))),
            ("Content-Length: 5\r\n", Ok(Body::Length(5))),
            (
                "content-length: 5\r\nContent-Length: 5\r\n",
                Ok(Body::Length(5)),
            ),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", Err(400)),
            ("Content-Length: 5, 5\r\n", Err(400)),
            ("Content-Length: +5\r\n", Err(400)),
            ("Content-Length: -1\r\n", Err(400)),
            ("Content-Length:\r\n", Err(400)),
            ("Content-Length: 18446744073709551616\r\n", Err(400)),
            ("Transfer-Encoding: Chunked\r\n", Ok(Body::Chunked)),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(501)),
            ("Transfer-Encoding: xchunked\r\n", Err(501)),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Err(400),
            ),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                Err(400),
            ),
            ("Transfer-Encoding : chunked\r\n", Err(400)),
            ("Host: another\r\n", Err(400)),
        ] {
            let text = format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
            let got = parsed(&text).map(|head| head.unwrap().body);
            assert_eq!(got, body, "{fields:?}");
        }
    }

    #[test]
    fn versions() {
        for (text, keep_alive) in [
            ("GET / HTTP/1.1\r\nHost:x\r\n\r\n", Ok(true)),
            (
                "GET / HTTP/1.1\r\nHost:x\r\nConnection: x , Close\r\n\r\n",
                Ok(false),
            ),
            ("GET / HTTP/1.0\r\n\r\n", Ok(false)),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", Ok(true)),
            ("GET / HTTP/1.1\r\n\r\n", Err(400)),
            (
                "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
                Err(400),
            ),
            ("GET / HTTP/2.0\r\n\r\n", Err(505)),
            ("GET /\r\n\r\n", Err(400)),
        ] {
            let got = parsed(text).map(|head| head.unwrap().keep_alive);
            assert_eq!(got, keep_alive, "{text:?}");
        }
    }

    #[test]
    fn every_beginning_of_a_head_is_incomplete() {
        let text = "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n";
        for end in 0..text.len() {
            assert!(parsed(&text[..end]).unwrap().is_none(), "{end}");
        }
        let head = parsed(&format!("{text}more")).unwrap().unwrap();
        assert_eq!((head.len, &text[head.target]), (text.len(), "/a?b"));
    }

    #[test]
    fn sizes() {
        let with = |n: usize| format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(n));
        assert!(parsed(&with(MOST_HEADERS - 1)).is_ok());
        assert_eq!(parsed(&with(MOST_HEADERS)).unwrap_err(), 431);
        assert_eq!(parsed(&"G".repeat(8192)).unwrap_err(), 431);
        let long = format!(
            "GET / HTTP/1.1\r\nHost: x\r\na: {}\r\n\r\n",
            "b".repeat(8192)
        );
        assert_eq!(parsed(&long).unwrap_err(), 431);
    }
}
