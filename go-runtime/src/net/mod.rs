//! Sockets: std's types, with std's names, whose operations park the goroutine and not the thread.
//!
//! Code written for [`std::net`] works after changing the `use`: what differs is what blocking does, and the types of errors after a
//! timeout ([`TimedOut`](std::io::ErrorKind::TimedOut) always). What is more: [deadlines](TcpStream::set_deadline) that also end operations that wait already,
//! as in Go, and operations that a [done channel](WithDone) ends. For descriptors that are not here there is [`Fd`].
//!
//! Names are looked up on a thread for [`blocking`](crate::blocking()) calls. In a goroutine that unwinds, operations block the worker, as all do there
//! ([panics](crate#panics)); they then go on within some 10 ms of what they wait for.
//!
//! Only for Unix systems as yet.

mod addresses;
mod done;
mod edges;
mod fd;
mod limits;
mod readiness;
mod stream;
mod tcp;

pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};

pub use self::addresses::ToSocketAddrs;
pub use self::done::{WithDone, is_done};
pub use self::fd::Fd;
pub use self::tcp::{Incoming, TcpListener, TcpStream};
