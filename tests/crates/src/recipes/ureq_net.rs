//! ureq over the runtime's sockets.

use go_runtime::{blocking, net::TcpStream};
use std::io::{ErrorKind::TimedOut, Read, Write};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, config::Config, http::Uri};

/// Connects by `go_runtime::net`. Use `NetConnector.chain(RustlsConnector::default())` for HTTPS.
#[derive(Debug)]
pub struct NetConnector;

impl Connector for NetConnector {
    type Out = NetTransport;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<NetTransport>, Error> {
        let mut result = Err(Error::HostNotFound);
        for address in &details.addrs {
            result = match details.timeout.not_zero() {
                Some(timeout) => TcpStream::connect_timeout(address, *timeout),
                None => TcpStream::connect(address),
            }
            .map_err(|error| in_time(error, details.timeout));
            if result.is_ok() {
                break;
            }
        }
        let (stream, config) = (result?, details.config);
        stream.set_nodelay(config.no_delay())?;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(NetTransport { stream, buffers }))
    }
}

/// A connection whose reads and writes park the goroutine.
pub struct NetTransport {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Transport for NetTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream
            .set_write_timeout(timeout.not_zero().map(|limit| *limit))?;
        let sent = self.stream.write_all(&self.buffers.output()[..amount]);
        sent.map_err(|error| in_time(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream
            .set_read_timeout(timeout.not_zero().map(|limit| *limit))?;
        let read = self.stream.read(self.buffers.input_append_buf());
        let amount = read.map_err(|error| in_time(error, timeout))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // An idle connection with something to be read, or its end, is of no more use.
        let _ = self
            .stream
            .set_read_timeout(Some(std::time::Duration::from_nanos(1)));
        matches!(self.stream.peek(&mut [0]), Err(error) if error.kind() == TimedOut)
    }
}

impl std::fmt::Debug for NetTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetTransport")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// Looks names up on a thread for blocking calls.
#[derive(Debug)]
pub struct NetResolver;

impl Resolver for NetResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        blocking(|| DefaultResolver::default().resolve(uri, config, timeout))
    }
}

/// ureq's own error for a timeout.
fn in_time(error: std::io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        TimedOut => Error::Timeout(timeout.reason),
        _ => error.into(),
    }
}

/// An agent whose requests park the goroutine.
pub fn agent(config: Config) -> ureq::Agent {
    ureq::Agent::with_parts(config, NetConnector, NetResolver)
}
