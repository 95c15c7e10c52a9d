//! A message that verifies its contents, and counts its fate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::counts::Messages;
use super::world::World;

#[derive(Debug)]
pub(super) struct Message {
    number: u64,
    /// A checksum that shows whether the message has been overwritten.
    check: u64,
    fate: Fate,
    world: Arc<World>,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    UnderWay,
    Received,
    Returned,
}

fn check_of(number: u64) -> u64 {
    !number.rotate_left(17)
}

impl Message {
    pub(super) fn new(world: &Arc<World>, number: u64) -> Message {
        let messages = &world.counts.messages;
        messages.made.fetch_add(1, Ordering::Release);
        Message {
            number,
            check: check_of(number),
            fate: Fate::UnderWay,
            world: Arc::clone(world),
        }
    }

    /// Counts the message as received, and returns its contents.
    pub(super) fn receive(mut self) -> u64 {
        assert_eq!(self.check, check_of(self.number), "a message is damaged");
        self.fate = Fate::Received;
        self.number
    }

    /// Counts the message as returned, because there was no receiver.
    pub(super) fn give_up(mut self) {
        assert_eq!(self.check, check_of(self.number), "a message is damaged");
        self.fate = Fate::Returned;
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let messages: &Messages = &self.world.counts.messages;
        let fate: &AtomicU64 = match self.fate {
            Fate::Received => &messages.received,
            Fate::Returned => &messages.returned,
            Fate::UnderWay => &messages.left,
        };
        fate.fetch_add(1, Ordering::Release);
    }
}
