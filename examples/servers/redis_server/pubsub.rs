//! Channels that clients subscribe to, and the delivery of messages.
//!
//! Each subscriber has a goroutine that writes its pending messages. So a publisher never waits: it
//! appends messages to the pending ones, and a client with too many of them is dropped.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use go_runtime::channel::{Receiver, Sender, bounded};
use go_runtime::net::{Shutdown, TcpStream};
use go_runtime::sync;

use crate::connection::write_all;
use crate::reply;

/// Maximum number of pending bytes; a client with more is dropped.
const MAX_PENDING: usize = 8 << 20;

/// The bytes that are to be written; `None` once the client is dropped.
type Pending = Mutex<Option<Vec<u8>>>;

/// The destination of messages for a subscriber. The writer ends when all clones are dropped and
/// everything is written.
#[derive(Clone)]
pub(crate) struct Outbox {
    pending: Arc<Pending>,
    stream: Arc<TcpStream>,
    /// A channel with room for one message, which only says that there is something to write.
    news: Sender<()>,
}

pub(crate) struct Writer {
    pending: Arc<Pending>,
    stream: Arc<TcpStream>,
    news: Receiver<()>,
}

pub(crate) fn outbox(stream: &Arc<TcpStream>) -> (Outbox, Writer) {
    let pending = Arc::new(Mutex::new(Some(Vec::new())));
    let (news, rx) = bounded(1);
    let outbox = Outbox {
        pending: Arc::clone(&pending),
        stream: Arc::clone(stream),
        news,
    };
    let writer = Writer {
        pending,
        stream: Arc::clone(stream),
        news: rx,
    };
    (outbox, writer)
}

impl Outbox {
    pub(crate) fn push(&self, bytes: &[u8]) {
        {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *pending {
                Some(waiting) if waiting.len() <= MAX_PENDING => waiting.extend_from_slice(bytes),
                Some(_) => {
                    *pending = None;
                    drop(pending);
                    hang_up(&self.stream);
                    return;
                }
                None => return,
            }
        }
        // If the channel is full, the writer will check anyway.
        let _ = self.news.try_send(());
    }
}

impl Writer {
    pub(crate) fn run(&self) {
        for () in &self.news {
            let bytes = {
                let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
                pending.as_mut().map(mem::take)
            };
            let written = bytes.is_some_and(|bytes| write_all(&self.stream, &bytes).is_ok());
            if !written {
                return hang_up(&self.stream);
            }
        }
    }
}

/// Ends the connection for all its readers and writers.
fn hang_up(stream: &TcpStream) {
    // A failure means that the connection has ended already.
    let _ = stream.shutdown(Shutdown::Both);
}

/// The subscribers of all channels. (The lock is the runtime's, because sending to a channel under
/// it may let other goroutines run, although it does not wait.)
#[derive(Default)]
pub(crate) struct Hub(sync::Mutex<Channels>);

/// The subscribers of each channel, by the number of their connection.
type Channels = HashMap<Box<[u8]>, HashMap<u64, Outbox>>;

impl Hub {
    fn lock(&self) -> sync::MutexGuard<'_, Channels> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a subscriber. It gets `confirmation` before its first message.
    pub(crate) fn subscribe(&self, channel: &[u8], id: u64, outbox: &Outbox, confirmation: &[u8]) {
        let mut channels = self.lock();
        outbox.push(confirmation);
        channels
            .entry(channel.into())
            .or_default()
            .insert(id, outbox.clone());
    }

    pub(crate) fn unsubscribe(&self, channel: &[u8], id: u64) {
        let mut channels = self.lock();
        if let Some(subscribers) = channels.get_mut(channel) {
            subscribers.remove(&id);
            if subscribers.is_empty() {
                channels.remove(channel);
            }
        }
    }

    /// Sends the message to all subscribers, and returns their number.
    pub(crate) fn publish(&self, channel: &[u8], message: &[u8]) -> usize {
        let mut text = Vec::new();
        reply::array(&mut text, 3);
        for part in [b"message", channel, message] {
            reply::bulk(&mut text, part);
        }
        let channels = self.lock();
        let Some(subscribers) = channels.get(channel) else {
            return 0;
        };
        for outbox in subscribers.values() {
            outbox.push(&text);
        }
        subscribers.len()
    }
}
