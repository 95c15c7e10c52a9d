//! Splits the received bytes into requests: arrays of bulk strings (RESP2), or lines of words that
//! people type.
//!
//! The parser remembers its position, so a request that arrives in many pieces is parsed once. It
//! reserves no memory for bytes that have not arrived, because a length is only the client's claim.

use std::mem;
use std::ops::{Index, Range};

/// Maximum number of words in a request.
const MAX_WORDS: usize = 1 << 20;
/// Maximum size of a word, and of a request, in bytes.
pub(crate) const MAX_BYTES: usize = 64 << 20;
/// Maximum length of a line of words, in bytes.
const MAX_LINE: usize = 16 << 10;
/// Maximum length of a line that contains only a length, in bytes.
const MAX_LENGTH_LINE: usize = 32;

/// Room for this many words is kept for the next request.
const KEPT: usize = 1 << 10;

/// Why the client's further bytes cannot be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// The words of a complete request, which borrow the received bytes.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    bytes: &'a [u8],
    places: &'a [Range<usize>],
}

impl<'a> Words<'a> {
    pub(crate) fn len(self) -> usize {
        self.places.len()
    }

    /// Returns the words from this one on.
    pub(crate) fn from(self, first: usize) -> impl Iterator<Item = &'a [u8]> + Clone {
        let Words { bytes, places } = self;
        places[first..]
            .iter()
            .map(move |place| &bytes[place.clone()])
    }

    /// Returns the words from this one on, in pairs.
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

/// The parser's state within a request. All positions count from the first byte of the request.
#[derive(Default)]
pub(crate) struct Parser {
    places: Vec<Range<usize>>,
    /// The position up to which the request has been parsed.
    at: usize,
    /// Number of missing words, if it is known.
    missing: Option<usize>,
    /// Length of the next word, if it is known.
    length: Option<usize>,
}

impl Parser {
    /// Returns the length of the request at the beginning of `bytes`, if it is complete. Otherwise
    /// the next call has to pass the same bytes, followed by more.
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
            // An array with a count of zero or less is an empty request.
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

    /// Returns the words that have been found, in the same bytes.
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

    /// Parses a line of words, without quotes.
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

    /// Returns the next line, without its end. Like `redis-server`, it accepts a line end without
    /// CR.
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

/// Parses a decimal number in its canonical form: without a plus sign, and without leading zeros.
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

    /// Returns all requests in `bytes`, of which the parser sees `step` more in each call.
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
