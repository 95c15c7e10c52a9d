//! Where goroutines wait for a partner whom they do not know.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use go_runtime::channel::{Receiver, Sender, bounded};

use super::message::Message;

/// Each one who waits is here with a channel of its own.
#[derive(Debug)]
pub(super) struct Lobby {
    /// `None` when it has closed.
    waiting: Mutex<Option<Vec<Sender<Message>>>>,
}

impl Lobby {
    pub(super) fn new() -> Lobby {
        Lobby {
            waiting: Mutex::new(Some(Vec::new())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Sender<Message>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place in the lobby: the channel on which somebody may send. `None`: it has closed.
    pub(super) fn enter(&self, capacity: usize) -> Option<Receiver<Message>> {
        let (tx, rx) = bounded(capacity);
        self.lock().as_mut()?.push(tx);
        Some(rx)
    }

    /// Anyone of those who wait. It is out of the lobby then, and its channel closes with what is
    /// returned.
    pub(super) fn pick(&self, rng: &mut Rng) -> Option<Sender<Message>> {
        let mut waiting = self.lock();
        let waiting = waiting.as_mut().filter(|waiting| !waiting.is_empty())?;
        let index = rng.usize(..waiting.len());
        Some(waiting.swap_remove(index))
    }

    pub(super) fn len(&self) -> usize {
        self.lock().as_ref().map_or(0, Vec::len)
    }

    /// Nobody enters any more, and all who wait go on.
    pub(super) fn close(&self) {
        let waiting = self.lock().take();
        // Outside of the lock, for it wakes them all.
        drop(waiting);
    }
}
