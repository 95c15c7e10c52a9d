//! Sockets and files.

mod files;
mod net;
mod net_udp;
mod net_unix;
