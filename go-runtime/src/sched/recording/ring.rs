//! A ring of events that one thread writes and any thread reads, without a lock.
//!
//! The writer never waits: it overwrites the oldest event. A reader copies what it finds, and then
//! reads how far the writer has come meanwhile, which tells the reader what of its copy may have
//! been overwritten, in whole or in part.
//!
//! ```text
//!                     written - length + 1         written
//!                              v                      v
//!   +-----+-----+-----+-----+-----+-----+-----+-----+-----+
//!   | ... |     |     |  ?  | e5  | e6  | e7  | e8  |  ?  |   the writer may be writing event
//!   +-----+-----+-----+-----+-----+-----+-----+-----+-----+   `written`, over the oldest one (?)
//! ```
//!
//! The writer publishes an event by adding 1 to `written`, and a release fence separates that from
//! its writes to the next slot. The reader has an acquire fence between its reads of slots and its
//! second read of `written`. So if the reader has seen any word of event `n`, it then sees that
//! `written` is at least `n`, and does not trust the slot. This is the argument of a sequence lock:
//! H. Boehm, "Can seqlocks get along with programming language memory models?", 2012. The slots are
//! atomics, so a read that meets a write is no data race.

use std::panic::Location;
use std::ptr;

use crate::primitives::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};

pub(crate) type Site = &'static Location<'static>;

/// An event, as the ring keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Words {
    pub(crate) head: u64,
    pub(crate) first: u64,
    pub(crate) site: Option<Site>,
    pub(crate) second: u64,
}

#[repr(align(32))]
struct Slot {
    head: AtomicU64,
    first: AtomicU64,
    /// Null, or made from a `Site`.
    site: AtomicPtr<Location<'static>>,
    second: AtomicU64,
}

pub(crate) struct Ring {
    slots: Box<[Slot]>,
    /// Number of events that have been written.
    written: AtomicU64,
    /// The slot of the next event. Only the writer uses it.
    next: AtomicUsize,
}

/// The result of [`Ring::read`], besides the events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Read {
    /// The number of the first event that was not there yet.
    pub(crate) end: u64,
    /// How many events were overwritten before they were read.
    pub(crate) lost: u64,
}

impl Ring {
    /// Makes a ring for `length` events, of which the last is not readable while the writer may
    /// be writing the next one. `length` is at least 2.
    pub(crate) fn new(length: usize) -> Ring {
        let slot = || Slot {
            head: AtomicU64::new(0),
            first: AtomicU64::new(0),
            site: AtomicPtr::new(ptr::null_mut()),
            second: AtomicU64::new(0),
        };
        Ring {
            slots: (0..length.max(2)).map(|_| slot()).collect(),
            written: AtomicU64::new(0),
            next: AtomicUsize::new(0),
        }
    }

    /// Writes an event, and returns its number. The calls come one after the other, from one thread
    /// or under a lock: otherwise events would be lost or mixed up.
    #[inline]
    pub(crate) fn write(&self, words: Words) -> u64 {
        let number = self.written.load(Ordering::Relaxed);
        let at = self.next.load(Ordering::Relaxed);
        let following = at + 1;
        let wraps = following == self.slots.len();
        self.next
            .store(if wraps { 0 } else { following }, Ordering::Relaxed);
        // (`at` is always in the ring; an event is dropped rather than a panic compiled in.)
        if let Some(slot) = self.slots.get(at) {
            // A reader that sees one of these words also sees that `written` is `number` at least.
            fence(Ordering::Release);
            let site = words.site.map_or(ptr::null(), ptr::from_ref);
            slot.head.store(words.head, Ordering::Relaxed);
            slot.first.store(words.first, Ordering::Relaxed);
            slot.site.store(site.cast_mut(), Ordering::Relaxed);
            slot.second.store(words.second, Ordering::Relaxed);
        }
        self.written.store(number + 1, Ordering::Release);
        number
    }

    /// Appends the events from number `from` on, the oldest first, as far as they are there.
    pub(crate) fn read(&self, from: u64, events: &mut Vec<Words>) -> Read {
        let length = self.slots.len() as u64;
        let end = self.written.load(Ordering::Acquire);
        let begin = from.max(end.saturating_sub(length)).min(end);
        let old = events.len();
        events.reserve((end - begin) as usize);
        let mut at = (begin % length) as usize;
        for _ in begin..end {
            let slot = &self.slots[at];
            events.push(Words {
                head: slot.head.load(Ordering::Relaxed),
                first: slot.first.load(Ordering::Relaxed),
                // SAFETY: the pointer is null, or `write` made it from a `'static` reference.
                // Nothing else writes it, and each load is atomic, so this holds whatever event
                // the word belongs to.
                site: unsafe { slot.site.load(Ordering::Relaxed).as_ref() },
                second: slot.second.load(Ordering::Relaxed),
            });
            at = if at + 1 == self.slots.len() {
                0
            } else {
                at + 1
            };
        }
        fence(Ordering::Acquire);
        let now = self.written.load(Ordering::Relaxed);
        // The writer may be writing event `now`, over event `now - length`.
        let first_whole = (now + 1).saturating_sub(length).clamp(begin, end);
        events.drain(old..old + (first_whole - begin) as usize);
        Read {
            end,
            lost: first_whole.saturating_sub(from),
        }
    }
}
