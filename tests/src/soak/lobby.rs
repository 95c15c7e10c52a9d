//! The lobby, where goroutines wait for a partner that they do not know.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use go_runtime::channel::{Receiver, Sender, bounded};

use super::message::Message;

/// The waiting goroutines, each with its own channel.
#[derive(Debug)]
pub(super) struct Lobby {
    /// `None` once the lobby has closed.
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

    /// Enters the lobby, and returns the channel on which a partner may send. `None` if the lobby
    /// has closed.
    pub(super) fn enter(&self, capacity: usize) -> Option<Receiver<Message>> {
        let (tx, rx) = bounded(capacity);
        self.lock().as_mut()?.push(tx);
        Some(rx)
    }

    /// Removes a random waiter from the lobby, and returns the sender of its channel.
    pub(super) fn pick(&self, rng: &mut Rng) -> Option<Sender<Message>> {
        let mut waiting = self.lock();
        let waiting = waiting.as_mut().filter(|waiting| !waiting.is_empty())?;
        let index = rng.usize(..waiting.len());
        Some(waiting.swap_remove(index))
    }

    pub(super) fn len(&self) -> usize {
        self.lock().as_ref().map_or(0, Vec::len)
    }

    /// Closes the lobby: no goroutine can enter any more, and all waiters continue.
    pub(super) fn close(&self) {
        let waiting = self.lock().take();
        // The senders are dropped without the lock, because that wakes all waiters.
        drop(waiting);
    }
}
