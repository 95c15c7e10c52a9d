//! Writing replies (RESP2). They are appended to a buffer, so that several are sent in one write.

use std::borrow::Cow;
use std::io::Write;

use crate::request::MAX_BYTES;

/// Maximum size of the reply to one request. (A short request can name a long value a million
/// times.)
const MAX_REPLY: usize = 4 * MAX_BYTES;

/// Why a command failed, for the client. The first word is the kind of error.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Cow<'static, str>);

pub(crate) const WRONG_TYPE: Failure = Failure(Cow::Borrowed(
    "WRONGTYPE Operation against a key holding the wrong kind of value",
));
pub(crate) const NOT_AN_INTEGER: Failure =
    Failure(Cow::Borrowed("ERR value is not an integer or out of range"));
pub(crate) const SYNTAX: Failure = Failure(Cow::Borrowed("ERR syntax error"));
pub(crate) const OVERFLOW: Failure =
    Failure(Cow::Borrowed("ERR increment or decrement would overflow"));
pub(crate) const TOO_LONG: Failure = Failure(Cow::Borrowed("ERR string exceeds the maximum size"));

impl Failure {
    pub(crate) fn new(text: impl Into<Cow<'static, str>>) -> Failure {
        Failure(text.into())
    }

    /// The command does not take this number of words.
    pub(crate) fn arity(name: &str) -> Failure {
        Failure::new(format!(
            "ERR wrong number of arguments for '{name}' command"
        ))
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.push(b'-');
        // The protocol ends an error at a line break, so a quoted line break is replaced.
        out.extend(self.0.bytes().map(|byte| match byte {
            b'\r' | b'\n' => b' ',
            byte => byte,
        }));
        out.extend_from_slice(b"\r\n");
    }
}

pub(crate) fn simple(out: &mut Vec<u8>, text: &str) {
    out.push(b'+');
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

pub(crate) fn ok(out: &mut Vec<u8>) {
    simple(out, "OK");
}

pub(crate) fn integer(out: &mut Vec<u8>, number: i64) {
    headed(out, b':', number);
}

/// Appends a number of items in memory, which is far from the limits of an `i64`.
pub(crate) fn count(out: &mut Vec<u8>, number: usize) {
    headed(out, b':', number);
}

pub(crate) fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    headed(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

pub(crate) fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"$-1\r\n");
}

/// Appends the head of an array, which this number of replies has to follow.
pub(crate) fn array(out: &mut Vec<u8>, length: usize) {
    headed(out, b'*', length);
}

/// Appends an item of the reply that begins at `start`, unless the reply gets too large.
pub(crate) fn bulk_within(out: &mut Vec<u8>, start: usize, bytes: &[u8]) -> Result<(), Failure> {
    if out.len() - start + bytes.len() > MAX_REPLY {
        return Err(Failure::new("ERR the reply would be too large"));
    }
    bulk(out, bytes);
    Ok(())
}

fn headed(out: &mut Vec<u8>, kind: u8, number: impl std::fmt::Display) {
    out.push(kind);
    // Writing to a vector cannot fail.
    let _ = write!(out, "{number}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_has_a_limit() {
        let value = vec![b'x'; MAX_REPLY / 2];
        let mut out = b"before".to_vec();
        let start = out.len();
        bulk_within(&mut out, start, &value).unwrap();
        assert!(bulk_within(&mut out, start, &value).is_err());
        bulk_within(&mut out, start, b"a").unwrap();
        assert!(out.ends_with(b"x\r\n$1\r\na\r\n"));
    }

    #[test]
    fn an_error_is_one_line() {
        let mut out = Vec::new();
        Failure::new("ERR a\r\n+OK").put(&mut out);
        assert_eq!(out, b"-ERR a  +OK\r\n");
    }
}
