//! The bytes of a connection, in and out.
//!
//! Answers are buffered until the connection would wait for more input. So the answers to requests
//! that arrived together are sent together, and no client waits for an answer while the server
//! waits for the client.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::buffers::Buffers;
use go_runtime::net::TcpStream;

/// Answers of this size (in bytes) do not wait for others.
const ENOUGH: usize = 32 << 10;

pub(crate) struct Wire<'a> {
    stream: &'a TcpStream,
    buffers: &'a mut Buffers,
    write_timeout: Duration,
    /// Time limit of the current phase, from the first read that waits.
    phase: Duration,
    /// Whether the phase's deadline has been set.
    timed: bool,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(
        stream: &'a TcpStream,
        buffers: &'a mut Buffers,
        write_timeout: Duration,
    ) -> Wire<'a> {
        Wire {
            stream,
            buffers,
            write_timeout,
            phase: Duration::ZERO,
            timed: false,
        }
    }

    /// Begins a phase: all bytes that are read from now on have to arrive within this time.
    pub(crate) fn begin(&mut self, phase: Duration) {
        self.phase = phase;
        self.timed = false;
    }

    pub(crate) fn unread(&self) -> &[u8] {
        self.buffers.input.unread()
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.buffers.input.consume(n);
    }

    /// Reads once. Returns 0 at the end of the stream.
    pub(crate) fn fill(&mut self) -> io::Result<usize> {
        self.flush()?;
        if !self.timed {
            // The clock is read only if the connection has to wait.
            self.stream
                .set_read_deadline(Some(Instant::now() + self.phase))?;
            self.timed = true;
        }
        self.buffers.input.fill(self.stream)
    }

    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.buffers.output
    }

    pub(crate) fn flush_if_large(&mut self) -> io::Result<()> {
        if self.buffers.output.len() >= ENOUGH {
            self.flush()?;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.buffers.output.is_empty() {
            return Ok(());
        }
        self.stream
            .set_write_deadline(Some(Instant::now() + self.write_timeout))?;
        let mut stream = self.stream;
        stream.write_all(&self.buffers.output)?;
        self.buffers.output.clear();
        Ok(())
    }
}
