//! Starting Redis.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::folder::Folder;
use super::{Server, is_installed};

pub(super) fn start(address: SocketAddr) -> io::Result<Server> {
    if !is_installed("redis-server") {
        return Err(io::ErrorKind::NotFound.into());
    }
    let folder = Folder::new("redis")?;
    let port = address.port().to_string();
    let command = [
        "redis-server",
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ];
    let command = command.map(str::to_owned).to_vec();
    Server::start(folder, address, command, "KILL", answers)
}

/// Returns whether the server answers. While it reads its files, it replies that it is loading.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"+PONG\r\n")
    };
    ask().unwrap_or(false)
}
