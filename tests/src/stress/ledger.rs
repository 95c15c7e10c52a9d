//! The account of one round's messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// What has become of one message: how often, in two bits each.
const RECEIVED: u8 = 1;
const RETURNED: u8 = 1 << 2;
const DROPPED: u8 = 1 << 4;
/// It may vanish, since nobody but its receiver can say whether it was sent.
const FICKLE: u8 = 1 << 6;

#[derive(Debug)]
pub(super) struct Ledger {
    fates: Box<[AtomicU8]>,
    made: AtomicUsize,
}

/// A message with a number of its own. Its fate is written down, its drop too.
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

    /// A new message; `None` when all have been made.
    pub(super) fn make(self: &Arc<Ledger>) -> Option<Message> {
        let id = self.made.fetch_add(1, Ordering::Relaxed);
        (id < self.fates.len()).then(|| Message {
            id,
            ledger: Arc::clone(self),
        })
    }

    /// Every message that was made has been dropped once, and received or returned exactly once, or
    /// at most once if they may be lost. The number of messages, and of those that were received.
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

    /// It has arrived.
    pub(super) fn receive(self) {
        self.note(RECEIVED);
    }

    /// It is sent by a future that may be dropped.
    pub(super) fn risk(&self) {
        self.note(FICKLE);
    }

    /// It has come back for good.
    pub(super) fn give_up(self) {
        self.note(RETURNED);
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.note(DROPPED);
    }
}
