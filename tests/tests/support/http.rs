//! A client that writes what it likes, and reads answers.
#![allow(dead_code, reason = "each target uses a part of it")]

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::server::LIMIT;

pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (this, value) = line.split_once(": ")?;
            this.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn closes(&self) -> bool {
        self.header("Connection") == Some("close")
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        self.stream.write_all(bytes.as_ref()).expect("it is taken");
        self
    }

    /// Sends as far as somebody reads.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// What one read gives.
    pub(crate) fn read_once(&mut self) -> Vec<u8> {
        assert!(self.unread.is_empty());
        let mut bytes = vec![0; 1 << 16];
        let n = self.stream.read(&mut bytes).expect("something comes");
        bytes.truncate(n);
        bytes
    }

    /// Something has come, or the end, within this time.
    pub(crate) fn has_news(&mut self, within: Duration) -> bool {
        self.stream.set_read_timeout(Some(within)).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(LIMIT)).unwrap();
        !peeked
            .is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    fn more(&mut self) {
        let bytes = self.read_once_more();
        let so_far = String::from_utf8_lossy(&self.unread);
        assert!(!bytes.is_empty(), "the end, after {so_far:?}");
        self.unread.extend(bytes);
    }

    fn read_once_more(&mut self) -> Vec<u8> {
        let unread = mem::take(&mut self.unread);
        let bytes = self.read_once();
        self.unread = unread;
        bytes
    }

    /// The next answer's head alone: of one to HEAD, or that goes before another.
    pub(crate) fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more();
        };
        let rest = self.unread.split_off(end);
        let head = String::from_utf8(mem::replace(&mut self.unread, rest)).expect("UTF-8");
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest[..3].parse().ok());
        Answer {
            status: status.unwrap_or_else(|| panic!("no status: {head:?}")),
            head,
            body: Vec::new(),
        }
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length = answer.header("Content-Length").expect("a length");
        let length = length.parse().expect("a number");
        while self.unread.len() < length {
            self.more();
        }
        let rest = self.unread.split_off(length);
        answer.body = mem::replace(&mut self.unread, rest);
        answer
    }

    /// The server has closed the connection, and nothing else comes. (It may be reset, if the server has not read all that was sent.)
    pub(crate) fn is_at_its_end(&mut self) {
        assert_eq!(String::from_utf8_lossy(&self.unread), "");
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("no end: {error}"),
        }
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// There will be no more of the client.
    pub(crate) fn close_half(&mut self) -> &mut Client {
        self.stream.shutdown(Shutdown::Write).unwrap();
        self
    }

    /// Ends as a crashed client does.
    pub(crate) fn reset(self) {
        let now = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        // SAFETY: the option's value lives until the call has returned, and has the size that is said.
        let set = unsafe {
            libc::setsockopt(
                self.stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const now).cast(),
                size_of_val(&now) as libc::socklen_t,
            )
        };
        assert_eq!(set, 0);
    }
}
