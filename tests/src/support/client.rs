//! A client that sends any bytes, and reads the answers.

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::support::server::LIMIT;

/// A connection to a server, over plain TCP.
pub struct Client {
    /// The connection.
    pub stream: TcpStream,
    /// The bytes that have been read, but not yet taken by a method.
    pub unread: Vec<u8>,
}

impl Client {
    /// Connects to a server.
    pub fn new(address: SocketAddr) -> Client {
        Client::of(TcpStream::connect(address).expect("the server listens"))
    }

    /// Connects to a server on this machine from an address of its own for each thousand clients,
    /// of which this is client `number`. (The system takes milliseconds to find a free port of an
    /// address from which there are many connections.)
    #[cfg(target_os = "linux")]
    pub fn one_of_many(number: u32, address: SocketAddr) -> Client {
        use socket2::{Domain, Socket, Type};
        use std::net::Ipv4Addr;

        // All of 127.0.0.0/8 is this machine.
        let first = u32::from(Ipv4Addr::new(127, 0, 1, 1));
        let source = Ipv4Addr::from_bits(first + number / 1000);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let source = SocketAddr::from((source, 0));
        socket.bind(&source.into()).expect("a free port");
        socket.connect(&address.into()).expect("the server listens");
        Client::of(socket.into())
    }

    fn of(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            stream,
            unread: Vec::new(),
        }
    }

    /// Sends these bytes, which the server has to take.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        self.stream.write_all(bytes.as_ref()).expect("it is taken");
        self
    }

    /// Sends these bytes. Returns `false` if the server has closed the connection, or does not
    /// read.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Returns the bytes of one read.
    pub fn read_once(&mut self) -> Vec<u8> {
        assert!(self.unread.is_empty());
        let mut bytes = vec![0; 1 << 16];
        let n = self.stream.read(&mut bytes).expect("something comes");
        bytes.truncate(n);
        bytes
    }

    /// Returns whether bytes, or the end, come within this time.
    pub fn has_news(&mut self, within: Duration) -> bool {
        self.stream.set_read_timeout(Some(within)).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(LIMIT)).unwrap();
        !peeked
            .is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Reads more bytes, which have to come.
    pub fn more(&mut self) {
        let mut bytes = vec![0; 1 << 16];
        let n = self.stream.read(&mut bytes).expect("something comes");
        let bytes = &bytes[..n];
        let so_far = String::from_utf8_lossy(&self.unread);
        assert!(!bytes.is_empty(), "the end, after {so_far:?}");
        self.unread.extend(bytes);
    }

    /// Reads this number of bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            self.more();
        }
        let rest = self.unread.split_off(length);
        mem::replace(&mut self.unread, rest)
    }

    /// Reads the next line, and returns it without its end.
    pub fn line(&mut self) -> String {
        let mut seen = 0;
        let length = loop {
            if let Some(at) = self.unread[seen..].iter().position(|byte| *byte == b'\n') {
                break seen + at + 1;
            }
            seen = self.unread.len();
            self.more();
        };
        let line = String::from_utf8(self.bytes(length)).expect("UTF-8");
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Checks that the server has closed the connection without sending more. (It may be reset, if
    /// the server has not read all bytes.)
    pub fn is_at_its_end(&mut self) {
        assert_eq!(String::from_utf8_lossy(&self.unread), "");
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("no end: {error}"),
        }
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// Shuts down the writing side: the client sends no more.
    pub fn close_half(&mut self) -> &mut Client {
        self.stream.shutdown(Shutdown::Write).unwrap();
        self
    }

    /// Resets the connection, as that of a crashed client.
    pub fn reset(self) {
        let now = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        // SAFETY: the call only reads the option's value, which is valid, and has the given size.
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
