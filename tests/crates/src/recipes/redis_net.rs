//! redis over the runtime's sockets.

use go_runtime::net::{TcpStream, ToSocketAddrs};
use redis::{ConnectionLike, Parser, RedisResult, Value};
use std::io::{self, Write};

/// A connection whose commands park the goroutine. After an I/O error, make a new one: the answer
/// to the command that failed may still be on its way.
pub struct NetConnection {
    stream: TcpStream,
    parser: Parser,
    broken: bool,
}

impl NetConnection {
    pub fn connect(address: impl ToSocketAddrs) -> io::Result<NetConnection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(NetConnection {
            stream,
            parser: Parser::new(),
            broken: false,
        })
    }
}

impl ConnectionLike for NetConnection {
    fn req_packed_command(&mut self, command: &[u8]) -> RedisResult<Value> {
        Ok(self.req_packed_commands(command, 0, 1)?.remove(0))
    }

    fn req_packed_commands(
        &mut self,
        commands: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        self.stream.write_all(commands)?;
        let parse = |_| self.parser.parse_value(&self.stream);
        let mut answers: Vec<Value> = (0..offset + count).map(parse).collect::<RedisResult<_>>()?;
        self.broken = false;
        Ok(answers.split_off(offset))
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        redis::cmd("PING").exec(self).is_ok()
    }

    fn is_open(&self) -> bool {
        !self.broken
    }
}
