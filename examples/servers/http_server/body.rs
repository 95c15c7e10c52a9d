//! Reads the body of a request, with a known length or in chunks, up to a limit.

use std::io::{self, ErrorKind};

use httparse::{EMPTY_HEADER, Status as Parsed};

use crate::answer::{BAD_REQUEST, CONTENT_TOO_LARGE, REQUEST_TIMEOUT};
use crate::request::{Body, Refused};
use crate::wire::Wire;

/// Maximum length of the line with a chunk's size and extensions, in bytes.
const MAX_SIZE_LINE: usize = 256;
const MAX_TRAILERS: usize = 4 << 10;
/// Maximum room that is reserved for a body before it arrives, whatever its announced length.
const FIRST_ROOM: u64 = 64 << 10;

/// Why a body could not be read.
pub(crate) enum Failed {
    /// The client gets an answer with the reason.
    Refused(Refused),
    /// The connection is gone, so there is no client to answer.
    Gone,
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Failed {
        Failed::Refused(refused)
    }
}

const MALFORMED: Refused = Refused {
    status: BAD_REQUEST,
    why: "a chunk is malformed",
};
const TOO_LARGE: Refused = Refused {
    status: CONTENT_TOO_LARGE,
    why: "the body is too large",
};

/// Checks whether the body is known to be too large before any of it is read.
pub(crate) fn check(body: Body, max: usize) -> Result<(), Refused> {
    match body {
        Body::Length(length) if length > max as u64 => Err(TOO_LARGE),
        _ => Ok(()),
    }
}

/// Passes all bytes of the body to `sink`.
pub(crate) fn read(
    wire: &mut Wire<'_>,
    body: Body,
    max: usize,
    mut sink: Option<&mut Vec<u8>>,
) -> Result<(), Failed> {
    match body {
        Body::Length(length) => {
            check(body, max)?;
            if let Some(sink) = &mut sink {
                sink.reserve(length.min(FIRST_ROOM) as usize);
            }
            copy(wire, length, &mut sink)
        }
        Body::Chunked => {
            let mut left = max as u64;
            loop {
                let size = chunk_size(wire)?;
                if size == 0 {
                    return trailers(wire);
                }
                left = left.checked_sub(size).ok_or(TOO_LARGE)?;
                copy(wire, size, &mut sink)?;
                end_of_chunk(wire)?;
            }
        }
    }
}

/// Reads more bytes; the end of the stream is an error.
fn more(wire: &mut Wire<'_>) -> Result<(), Failed> {
    match wire.fill() {
        Ok(0) => Err(Failed::Refused(Refused {
            status: BAD_REQUEST,
            why: "the body ends too early",
        })),
        Ok(_) => Ok(()),
        Err(error) => Err(failed(&error, "the body took too long")),
    }
}

/// Converts an error of a read.
pub(crate) fn failed(error: &io::Error, late: &'static str) -> Failed {
    match error.kind() {
        ErrorKind::TimedOut => Failed::Refused(Refused {
            status: REQUEST_TIMEOUT,
            why: late,
        }),
        _ => Failed::Gone,
    }
}

fn copy(wire: &mut Wire<'_>, mut left: u64, sink: &mut Option<&mut Vec<u8>>) -> Result<(), Failed> {
    while left > 0 {
        let unread = wire.unread();
        let n = (unread.len() as u64).min(left) as usize;
        if n == 0 {
            more(wire)?;
            continue;
        }
        if let Some(sink) = sink {
            sink.extend_from_slice(&unread[..n]);
        }
        wire.consume(n);
        left -= n as u64;
    }
    Ok(())
}

fn chunk_size(wire: &mut Wire<'_>) -> Result<u64, Failed> {
    loop {
        let unread = wire.unread();
        match httparse::parse_chunk_size(unread) {
            Ok(Parsed::Complete((n, size))) => {
                wire.consume(n);
                return Ok(size);
            }
            Ok(Parsed::Partial) if unread.len() < MAX_SIZE_LINE => more(wire)?,
            _ => return Err(MALFORMED.into()),
        }
    }
}

fn end_of_chunk(wire: &mut Wire<'_>) -> Result<(), Failed> {
    while wire.unread().len() < 2 {
        more(wire)?;
    }
    if !wire.unread().starts_with(b"\r\n") {
        return Err(MALFORMED.into());
    }
    wire.consume(2);
    Ok(())
}

/// Reads the trailer fields, and ignores them.
fn trailers(wire: &mut Wire<'_>) -> Result<(), Failed> {
    loop {
        let unread = wire.unread();
        let mut headers = [EMPTY_HEADER; 16];
        match httparse::parse_headers(unread, &mut headers) {
            Ok(Parsed::Complete((n, _))) => {
                wire.consume(n);
                return Ok(());
            }
            Ok(Parsed::Partial) if unread.len() < MAX_TRAILERS => more(wire)?,
            _ => return Err(MALFORMED.into()),
        }
    }
}
