//! A connection: requests in, replies out.
//!
//! Replies are buffered until the connection would wait for more requests, so the replies to a
//! batch are sent in one write. Once the client subscribes to a channel, all output goes through
//! its outbox, so that replies and messages keep their order.

use std::collections::HashSet;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use go_example_servers::input::Input;
use go_example_servers::server::linger;
use go_runtime::channel::Receiver;
use go_runtime::net::{self, TcpStream};
use go_runtime::{Builder, JoinHandle};

use crate::commands::execute;
use crate::db::Store;
use crate::pubsub::{Hub, Outbox, outbox};
use crate::reply::{self, Failure};
use crate::request::{Malformed, Parser};

/// Replies of this size (in bytes) do not wait for others.
const ENOUGH: usize = 32 << 10;
/// A buffer that has grown beyond this size (in bytes) is not kept.
const KEPT: usize = 64 << 10;
/// How long a client may take to read the data of one write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The state that all connections share.
pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) hub: Hub,
    /// Closed when the server stops.
    pub(crate) done: Receiver<()>,
    pub(crate) connections: AtomicU64,
}

pub(crate) struct Connection<'a> {
    pub(crate) server: &'a Server,
    /// Replies that have not been written yet.
    pub(crate) out: Vec<u8>,
    /// Whether the client has sent QUIT.
    pub(crate) quits: bool,
    stream: Arc<TcpStream>,
    subscriber: Option<Subscriber>,
}

/// The state of a connection while it is subscribed to a channel.
struct Subscriber {
    id: u64,
    channels: HashSet<Box<[u8]>>,
    outbox: Outbox,
    writer: JoinHandle<()>,
}

/// Serves the client until it leaves, or the server ends. Requests that have been read are
/// answered.
pub(crate) fn serve(server: &Server, stream: TcpStream) {
    let stream = Arc::new(stream);
    let mut connection = Connection {
        server,
        out: Vec::new(),
        quits: false,
        stream: Arc::clone(&stream),
        subscriber: None,
    };
    // An error also ends the connection, without a reply.
    let end = connection.run();
    connection.leave_channels();
    // Unread bytes of the client must not reset the connection, and so lose the last replies.
    if end.is_ok() || end.is_err_and(|error| net::is_done(&error)) {
        linger(&stream);
    }
}

impl Connection<'_> {
    /// Runs until the connection ends, or until a malformed request. The client has then got an
    /// error reply.
    fn run(&mut self) -> io::Result<Option<Malformed>> {
        let mut input = Input::default();
        let mut parser = Parser::default();
        loop {
            let malformed = loop {
                match parser.parse(input.unread()) {
                    Ok(Some(length)) => {
                        let words = parser.found(input.unread());
                        if words.len() > 0 {
                            execute(self, words);
                        }
                        input.consume(length);
                    }
                    Ok(None) => break None,
                    Err(malformed) => break Some(malformed),
                }
                if self.quits {
                    self.flush()?;
                    return Ok(None);
                }
                if self.out.len() >= ENOUGH {
                    self.flush()?;
                }
            };
            if let Some(Malformed(why)) = malformed {
                Failure::new(format!("ERR Protocol error: {why}")).put(&mut self.out);
            }
            self.flush()?;
            if malformed.is_some() {
                return Ok(malformed);
            }
            if input.is_empty() {
                input.reset();
            }
            match input.fill(self.stream.with_done(&self.server.done)) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        match &self.subscriber {
            Some(subscriber) => subscriber.outbox.push(&self.out),
            None => write_all(&self.stream, &self.out)?,
        }
        self.out.clear();
        if self.out.capacity() > KEPT {
            self.out = Vec::new();
        }
        Ok(())
    }

    pub(crate) fn is_subscriber(&self) -> bool {
        self.subscriber.is_some()
    }

    /// Subscribes to another channel.
    pub(crate) fn subscribe(&mut self, channel: &[u8]) -> Result<(), Failure> {
        let subscriber = match &mut self.subscriber {
            Some(subscriber) => subscriber,
            none => none.insert(Subscriber::new(self.server, &self.stream)?),
        };
        subscriber.channels.insert(channel.into());
        // The pending replies come first in the outbox.
        confirm(
            &mut self.out,
            "subscribe",
            Some(channel),
            subscriber.channels.len(),
        );
        self.server
            .hub
            .subscribe(channel, subscriber.id, &subscriber.outbox, &self.out);
        self.out.clear();
        Ok(())
    }

    pub(crate) fn unsubscribe(&mut self, channel: &[u8]) {
        let mut left = 0;
        if let Some(subscriber) = &mut self.subscriber {
            subscriber.channels.remove(channel);
            left = subscriber.channels.len();
            self.server.hub.unsubscribe(channel, subscriber.id);
        }
        confirm(&mut self.out, "unsubscribe", Some(channel), left);
        if left == 0 {
            self.leave_channels();
        }
    }

    pub(crate) fn unsubscribe_from_all(&mut self) {
        let Some(subscriber) = &self.subscriber else {
            return confirm(&mut self.out, "unsubscribe", None, 0);
        };
        let channels: Vec<_> = subscriber.channels.iter().cloned().collect();
        for channel in channels {
            self.unsubscribe(&channel);
        }
    }

    /// Waits until the client has got everything in its outbox. Later output is written directly.
    fn leave_channels(&mut self) {
        let Some(subscriber) = self.subscriber.take() else {
            return;
        };
        for channel in &subscriber.channels {
            self.server.hub.unsubscribe(channel, subscriber.id);
        }
        drop(subscriber.outbox);
        // The panic hook has reported a panic of the writer.
        let _ = subscriber.writer.join();
    }
}

impl Subscriber {
    fn new(server: &Server, stream: &Arc<TcpStream>) -> Result<Subscriber, Failure> {
        let (outbox, writer) = outbox(stream);
        let writer = Builder::new()
            .spawn(move || writer.run())
            .map_err(|error| Failure::new(format!("ERR no subscriber can be added: {error}")))?;
        Ok(Subscriber {
            id: server.connections.fetch_add(1, Ordering::Relaxed),
            channels: HashSet::new(),
            outbox,
            writer,
        })
    }
}

fn confirm(out: &mut Vec<u8>, what: &str, channel: Option<&[u8]>, count: usize) {
    reply::array(out, 3);
    reply::bulk(out, what.as_bytes());
    match channel {
        Some(channel) => reply::bulk(out, channel),
        None => reply::null(out),
    }
    reply::count(out, count);
}

/// Writes all bytes, unless the client takes too long to read them.
pub(crate) fn write_all(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.set_write_deadline(Some(Instant::now() + WRITE_TIMEOUT))?;
    stream.write_all(bytes)
}
