//! Sockets: std's types, with std's names, whose operations park the goroutine and not the thread.
//!
//! Code written for [`std::net`] works after changing the `use`. The differences are what blocking
//! does, the kind of errors after a timeout (always [`TimedOut`](std::io::ErrorKind::TimedOut)),
//! and that small writes are [sent at once](#nagles-algorithm). In addition there are
//! [deadlines](TcpStream::set_deadline) that also end operations that are waiting already, as in
//! Go, operations that a [done channel](WithDone) ends, and a [`Dialer`] that connects by name
//! within a time limit. For other descriptors there is [`Fd`].
//!
//! Names are looked up on a thread for [`blocking`](crate::blocking()) calls. In a goroutine that
//! unwinds, operations block the worker, as all operations do there ([panics](crate#panics)); they
//! notice the event that they wait for within 10 to 15 ms.
//!
//! Over IP there are [`TcpListener`], [`TcpStream`] and [`UdpSocket`]; in the Unix domain, where
//! addresses are paths, [`UnixListener`], [`UnixStream`] and [`UnixDatagram`], which std has in
//! [`std::os::unix::net`]. Types that would have the same names for both families begin with `Unix`
//! here: [`UnixSocketAddr`], [`UnixIncoming`].
//!
//! The module is available on Unix systems only.
//!
//! # A server that stops
//!
//! One channel stops all goroutines: goroutines that wait for a connection or a request end, and
//! goroutines that are answering finish their answer first. New connections are refused once the
//! listener is dropped.
//!
//! ```no_run
//! use std::io::{self, BufRead, BufReader, Write};
//! use go_runtime::net::{TcpListener, TcpStream};
//! use go_runtime::signal::{SIGINT, SIGTERM, notify_context};
//! use go_runtime::sync::WaitGroup;
//! use go_runtime::{channel::Receiver, context};
//!
//! fn serve(stream: &TcpStream, done: &Receiver<()>) -> io::Result<()> {
//!     let mut lines = BufReader::new(stream.with_done(done)).lines();
//!     while let Some(line) = lines.next().transpose()? {
//! // Without `with_done`: an answer that has begun arrives as a whole.
//!         let mut answers = stream;
//!         writeln!(answers, "{}", line.to_uppercase())?;
//!     }
//!     Ok(())
//! }
//!
//! fn main() -> io::Result<()> {
//!     let (ctx, _signals) = notify_context(&context::background(), &[SIGINT, SIGTERM])?;
//!     let listener = TcpListener::bind("127.0.0.1:7000")?;
//!     let connections = WaitGroup::new();
//!     for stream in listener.with_done(ctx.done()).incoming() {
//!         let (stream, done) = (stream?, ctx.done().clone());
//! // An error ends only this connection.
//!         drop(connections.go(move || serve(&stream, &done)));
//!     }
//!     drop(listener);
//!     connections.wait();
//!     Ok(())
//! }
//! ```
//!
//! # Nagle's algorithm
//!
//! Connections that `connect` makes, or that a listener made by `bind` accepts, have `TCP_NODELAY`
//! set, as in Go: a small write is sent at once. std and tokio leave it unset, and the system then
//! holds a small write back while an earlier one has not been acknowledged. A peer that waits for
//! the whole message acknowledges late, so a request of two writes takes 40 ms more on Linux, even
//! on one machine, and so does an answer. Such stalls are hard to find. The cost is smaller: code
//! that writes byte by byte sends more packets, which a [`BufWriter`](std::io::BufWriter) prevents.
//! `set_nodelay(false)` [restores the algorithm](TcpStream::set_nodelay) for a connection. A socket
//! that is converted from std's type keeps its setting.
//!
//! # When a connection ends
//!
//! A connection that is closed while there is unread data is reset, and the last writes may be lost
//! with it. To make sure that they arrive, call `shutdown(Shutdown::Write)` and read to the end,
//! with a deadline.

mod addresses;
mod backoff;
mod datagram;
mod dialer;
mod done;
mod drive;
mod fd;
mod limits;
mod listener;
mod readiness;
mod retry;
mod socket;
mod stream;
mod tcp;
mod udp;
mod unix_datagram;
mod unix_stream;

pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};

pub use std::os::unix::net::SocketAddr as UnixSocketAddr;

pub use self::addresses::ToSocketAddrs;
pub use self::dialer::Dialer;
pub use self::done::{WithDone, is_done};
pub use self::fd::Fd;
pub use self::tcp::{Incoming, TcpListener, TcpStream};
pub use self::udp::UdpSocket;
pub use self::unix_datagram::UnixDatagram;
pub use self::unix_stream::{UnixIncoming, UnixListener, UnixStream};
