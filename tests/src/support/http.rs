//! The answers of an HTTP server, as a client reads them.

use crate::support::client::Client;

/// An answer of an HTTP server.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body; empty if only the head was read.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (this, value) = line.split_once(": ")?;
            this.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Returns whether the server closes the connection after this answer.
    pub fn closes(&self) -> bool {
        self.header("Connection") == Some("close")
    }
}

impl Client {
    /// Reads only the head of the next answer. Use it for an answer to HEAD, and for one that comes
    /// before another answer.
    pub fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more();
        };
        let head = String::from_utf8(self.bytes(end)).expect("UTF-8");
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest[..3].parse().ok());
        Answer {
            status: status.unwrap_or_else(|| panic!("no status: {head:?}")),
            head,
            body: Vec::new(),
        }
    }

    /// Reads the next answer.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length = answer.header("Content-Length").expect("a length");
        let length = length.parse().expect("a number");
        answer.body = self.bytes(length);
        answer
    }
}
