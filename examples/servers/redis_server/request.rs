//! How requests are told apart in what comes: arrays of bulk strings (RESP2), or lines of words
//! that people type.
//!
//! The parser keeps its place, so a request that comes in many pieces is looked at once. It
//! announces nothing to the allocator that has not come: a length is a claim of the client's.

use std::mem;
use std::ops::{Index, Range};

/// The most words of a request.
const MAX_WORDS: usize = 1 << 20;
/// The longest word, and the longest request.
pub(crate) const MAX_BYTES: usize = 64 << 20;
/// The longest line of words.
const MAX_LINE: usize = 16 << 10;
/// The longest line that has a length only.
const MAX_LENGTH_LINE: usize = 32;

/// The places of so many words are kept for the next request.
const KEPT: usize = 1 << 10;

/// Why the rest of what the client sends cannot be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// The words of a complete request, in the bytes that have come.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    bytes: &'a [u8],
    places: &'a [Range<usize>],
}

impl<'a> Words<'a> {
    pub(crate) fn len(self) -> usize {
        self.places.len()
    }

    /// The words from this one on.
    pub(crate) fn from(self, first: usize) -> impl Iterator<Item = &'a [u8]> + Clone {
        let Words { bytes, places } = self;
        places[first..]
            .iter()
            .map(move |place| &bytes[place.clone()])
    }

    /// The same, two by two.
    pub(crate) fn pairs(self, first: usize) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let Words { bytes, places } = self;
        places[first..]
            .chunks_exact(2)
            .map(move |pair| (&bytes[pair[0].clone()], &bytes[pair[1].clone()]))
    }
}

impl Index<usize> for Words<'_> {
    type Output = [u8];
    fn index(&self, index: usize) -> &[u8] {
        &self.bytes[self.places[index].clone()]
    }
}

/// What is known of the request that is being received. All places count from its first byte.
#[derive(Default)]
pub(crate) struct Parser {
    places: Vec<Range<usize>>,
    /// So far it is understood.
    at: usize,
    /// The words that are still to come, if their number is known.
    missing: Option<usize>,
    /// The length of the word that is to come next, if it is known.
    length: Option<usize>,
}

impl Parser {
    /// The length of the request at the beginning of `bytes`, if it is complete; else `bytes` has
    /// to begin with the same bytes next time.
    pub(crate) fn parse(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        if self.missing.is_none() {
            self.places.clear();
            self.places.shrink_to(KEPT);
            if bytes.first().is_some_and(|first| *first != b'*') {
                return self.words(bytes);
            }
            let Some(line) = self.line(bytes, MAX_LENGTH_LINE)? else {
                return Ok(None);
            };
            // None, or fewer: a request that asks for nothing.
            let count = number(&bytes[line.start + 1..line.end])
                .map(|count| usize::try_from(count).unwrap_or(0))
                .filter(|count| *count <= MAX_WORDS)
                .ok_or(Malformed("invalid multibulk length"))?;
            self.missing = Some(count);
        }
        while self.missing != Some(0) {
            let Some(place) = self.word(bytes)? else {
                return Ok(None);
            };
            self.places.push(place);
            self.missing = self.missing.map(|count| count - 1);
        }
        self.missing = None;
        Ok(Some(mem::take(&mut self.at)))
    }

    /// The words that have been found, in the same bytes.
    pub(crate) fn found<'a>(&'a self, bytes: &'a [u8]) -> Words<'a> {
        Words {
            bytes,
            places: &self.places,
        }
    }

    fn word(&mut self, bytes: &[u8]) -> Result<Option<Range<usize>>, Malformed> {
        let length = match self.length {
            Some(length) => length,
            None => {
                if bytes.get(self.at).is_some_and(|first| *first != b'$') {
                    return Err(Malformed("expected '$'"));
                }
                let Some(line) = self.line(bytes, MAX_LENGTH_LINE)? else {
                    return Ok(None);
                };
                let length = number(&bytes[line.start + 1..line.end])
                    .and_then(|length| usize::try_from(length).ok())
                    .filter(|length| *length <= MAX_BYTES)
                    .ok_or(Malformed("invalid bulk length"))?;
                if self.at + length > MAX_BYTES {
                    return Err(Malformed("too big request"));
                }
                self.length = Some(length);
                length
            }
        };
        let end = self.at + length;
        let Some(after) = bytes.get(end..end + 2) else {
            return Ok(None);
        };
        if after != b"\r\n" {
            return Err(Malformed("expected CRLF after a bulk string"));
        }
        self.length = None;
        let start = mem::replace(&mut self.at, end + 2);
        Ok(Some(start..end))
    }

    /// A line of words, without quotes.
    fn words(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let Some(line) = self.line(bytes, MAX_LINE)? else {
            return Ok(None);
        };
        let mut start = line.start;
        for word in bytes[line].split(u8::is_ascii_whitespace) {
            if !word.is_empty() {
                self.places.push(start..start + word.len());
            }
            start += word.len() + 1;
        }
        Ok(Some(mem::take(&mut self.at)))
    }

    /// The next line, without its end. As `redis-server` does, it lets a line end without CR.
    fn line(&mut self, bytes: &[u8], max: usize) -> Result<Option<Range<usize>>, Malformed> {
        let rest = &bytes[self.at..];
        let visible = &rest[..rest.len().min(max)];
        let Some(length) = visible.iter().position(|byte| *byte == b'\n') else {
            return match rest.len() {
                length if length < max => Ok(None),
                _ if max == MAX_LINE => Err(Malformed("too big inline request")),
                _ => Err(Malformed("too long a length")),
            };
        };
        let start = self.at;
        self.at += length + 1;
        let without_cr = rest[..length].strip_suffix(b"\r");
        Ok(Some(start..start + without_cr.map_or(length, <[u8]>::len)))
    }
}

/// A decimal number in its one form: without plus sign, and without zeros before it.
pub(crate) fn number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        [b'0'] if digits.len() == text.len() => Some(0),
        [b'1'..=b'9', ..] => str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All requests of `bytes`, of which it sees `step` more each time.
    fn requests(bytes: &[u8], step: usize) -> Result<Vec<Vec<Vec<u8>>>, Malformed> {
        let (mut parser, mut start, mut end) = (Parser::default(), 0, 0);
        let mut requests = Vec::new();
        loop {
            let seen = &bytes[start..end];
            match parser.parse(seen)? {
                Some(n) => {
                    let words = parser.found(seen).from(0);
                    requests.push(words.map(<[u8]>::to_vec).collect());
                    start += n;
                }
                None if end == bytes.len() => {
                    assert_eq!(start, end, "a part is left over");
                    return Ok(requests);
                }
                None => end = bytes.len().min(end + step),
            }
        }
    }

    #[test]
    fn requests_in_pieces() {
        let bytes = b"*2\r\n$4\r\nECHO\r\n$5\r\na\r\n\0b\r\nPING\r\n\r\n*0\r\n*-1\r\n  set a\tb \
                      \n*1\r\n$0\r\n\r\n";
        let expected: [&[&[u8]]; 7] = [
            &[b"ECHO", b"a\r\n\0b"],
            &[b"PING"],
            &[],
            &[],
            &[],
            &[b"set", b"a", b"b"],
            &[b""],
        ];
        for step in 1..=bytes.len() {
            assert_eq!(requests(bytes, step).unwrap(), expected, "{step}");
        }
    }

    #[test]
    fn malformed_ones() {
        let endless = [b'a'; MAX_LINE];
        for (bytes, why) in [
            (&b"*1048577\r\n"[..], "invalid multibulk length"),
            (b"*99999999999999999999\r\n", "invalid multibulk length"),
            (b"*x\r\n", "invalid multibulk length"),
            (b"*\r\n", "invalid multibulk length"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$67108865\r\n", "invalid bulk length"),
            (b"*1\r\n$+1\r\na\r\n", "invalid bulk length"),
            (b"*2\r\n$1\r\na\r\n$67108864\r\n", "too big request"),
            (b"*1\r\n:1\r\n", "expected '$'"),
            (b"*1\r\n$1\r\nabc\r\n", "expected CRLF after a bulk string"),
            (&[b'*'; 32], "too long a length"),
            (&endless, "too big inline request"),
        ] {
            for step in [1, 7, bytes.len()] {
                let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
                assert_eq!(requests(bytes, step), Err(Malformed(why)), "{shown}");
            }
        }
    }

    #[test]
    fn numbers() {
        for good in [
            "0",
            "1",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
        ] {
            assert_eq!(number(good.as_bytes()), good.parse().ok());
        }
        for bad in [
            "",
            "-",
            "-0",
            "+1",
            "01",
            " 1",
            "1 ",
            "1.5",
            "x",
            "9223372036854775808",
        ] {
            assert_eq!(number(bad.as_bytes()), None, "{bad}");
        }
    }
}
