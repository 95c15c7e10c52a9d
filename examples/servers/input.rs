//! A buffer of the bytes that a client has sent and that have not been processed yet.
//!
//! The buffer grows while more bytes arrive than it holds, which its users limit; processed bytes
//! make room.

use std::io::{self, Read};

const FIRST: usize = 4 << 10;
/// A buffer that has grown beyond this size (in bytes) is not kept.
const KEPT: usize = 64 << 10;

/// Bytes that have arrived and wait to be processed.
#[derive(Debug, Default)]
pub struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    /// Returns the bytes that have not been processed.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Returns whether all bytes have been processed.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Marks `n` bytes as processed.
    ///
    /// # Panics
    /// If there are fewer bytes.
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.end - self.start);
        self.start += n;
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Appends bytes as if they had been read.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.buffer[self.end..][..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Reads once. Returns 0 at the end of the stream.
    ///
    /// # Errors
    /// The reader's error; no byte is lost then.
    pub fn fill(&mut self, mut from: impl Read) -> io::Result<usize> {
        self.make_room(1);
        let n = from.read(&mut self.buffer[self.end..])?;
        self.end += n;
        Ok(n)
    }

    fn make_room(&mut self, n: usize) {
        if self.buffer.len() - self.end >= n {
            return;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let needed = self.end + n;
        if needed > self.buffer.len() {
            let length = needed.next_power_of_two().max(FIRST);
            self.buffer.resize(length, 0);
        }
    }

    /// Drops all bytes, for the next connection.
    pub fn reset(&mut self) {
        (self.start, self.end) = (0, 0);
        if self.buffer.len() > KEPT {
            self.buffer = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_in_order() {
        let all: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        let mut from = &all[..];
        let mut input = Input::default();
        let mut got = Vec::new();
        input.extend(&all[..300]);
        from = &from[300..];
        while input.fill(&mut from).unwrap() > 0 || !input.is_empty() {
            let n = input.unread().len().min(1_111);
            got.extend_from_slice(&input.unread()[..n]);
            input.consume(n);
        }
        assert!(got == all);
    }
}
