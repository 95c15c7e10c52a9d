//! The account of the messages of one round.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// The fates of a message, with a count of two bits each.
const RECEIVED: u8 = 1;
const RETURNED: u8 = 1 << 2;
const DROPPED: u8 = 1 << 4;
/// The message may be lost, because only its receiver can tell whether it was sent.
const FICKLE: u8 = 1 << 6;

#[derive(Debug)]
pub(super) struct Ledger {
    fates: Box<[AtomicU8]>,
    made: AtomicUsize,
}

/// A message with its own number, whose fate and drop are recorded.
#[derive(Debug)]
pub(super) struct Message {
    id: usize,
    ledger: Arc<Ledger>,
}

impl Ledger {
    pub(super) fn new(messages: usize) -> Arc<Ledger> {
        Arc::new(Ledger {
            fates: (0..messages).map(|_| AtomicU8::new(0)).collect(),
            made: AtomicUsize::new(0),
        })
    }

    /// Creates a message; `None` when all have been created.
    pub(super) fn make(self: &Arc<Ledger>) -> Option<Message> {
        let id = self.made.fetch_add(1, Ordering::Relaxed);
        (id < self.fates.len()).then(|| Message {
            id,
            ledger: Arc::clone(self),
        })
    }

    /// Checks that every message that was created has been dropped once, and received or returned
    /// exactly once, or at most once if it may be lost. Returns the number of messages, and of
    /// received ones.
    pub(super) fn close(&self, may_be_lost: bool) -> (usize, usize) {
        let made = self.made.load(Ordering::Relaxed).min(self.fates.len());
        let mut received = 0;
        for (id, fate) in self.fates[..made].iter().enumerate() {
            let fate = fate.load(Ordering::Relaxed);
            match (fate & !FICKLE).wrapping_sub(DROPPED) {
                RECEIVED => received += 1,
                RETURNED => {}
                0 if may_be_lost || fate & FICKLE != 0 => {}
                _ => panic!(
                    "message {id} of {made}: received {} times, returned {}, dropped {}",
                    fate & 3,
                    fate >> 2 & 3,
                    fate >> 4 & 3
                ),
            }
        }
        (made, received)
    }
}

impl Message {
    fn note(&self, fate: u8) {
        self.ledger.fates[self.id].fetch_add(fate, Ordering::Relaxed);
    }

    /// Records that the message has arrived.
    pub(super) fn receive(self) {
        self.note(RECEIVED);
    }

    /// Records that a future sends the message, and may be dropped.
    pub(super) fn risk(&self) {
        self.note(FICKLE);
    }

    /// Records that the message has come back for good.
    pub(super) fn give_up(self) {
        self.note(RETURNED);
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.note(DROPPED);
    }
}
