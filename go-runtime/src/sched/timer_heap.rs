//! A heap of timers in order of time. One heap of each worker holds the deadlines of its parked
//! goroutines; another one, in [`delayed`](super::delayed), holds goroutines that are yet to be
//! queued.
//!
//! Most timeouts are removed early. A removed timer leaves a dead entry in the heap, which is
//! skipped when it comes to the top; when dead entries outnumber the live ones by more than
//! `DEAD_TIMERS`, all dead entries are cleared away.
//!
//! ```text
//!   heap (by due, order)                live: a slab of timers
//!  +---------------------+             +---+---------------------+
//!  | due, order, place --+------------>| 0 | due, number, what   |
//!  | due, order, place --+----.        | 1 | (free)              |
//!  | ...                 |     `------>| 2 | another due, number |   a dead entry
//!  +---------------------+             +---+---------------------+
//! ```
//!
//! Four heap entries fill a cache line, so each step down a very large heap costs only one cache
//! miss. An entry holds the place of its timer, its due time, and the lower half of its number. If
//! another timer with the same place, due time and half number has replaced the entry's timer,
//! firing that timer is correct as well, and its own entry is later found dead.
//!
//! A heap has no lock of its own: only its worker uses it, or a mutex guards it (in `delayed`).

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use dary_heap::QuaternaryHeap;
use slab::Slab;

use super::tuning::DEAD_TIMERS;
use crate::clock;

/// Identifies a timer.
#[derive(Clone, Copy)]
pub(crate) struct TimerKey {
    /// The timer's number, which is never reused.
    number: u64,
    place: usize,
}

/// Nanoseconds since the timers' start.
type Nanos = u64;

/// A heap of timers; `T` is what becomes due.
pub(super) struct TimerHeap<T> {
    start: Instant,
    /// The entries, dead ones included, with the earliest at the top.
    heap: QuaternaryHeap<Reverse<Entry>>,
    /// The timers that have been neither fired nor removed.
    live: Slab<Timer<T>>,
    count: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    due: Nanos,
    /// The lower half of the timer's number: of two timers with the same due time, the one added
    /// first fires first.
    order: u32,
    place: u32,
}

struct Timer<T> {
    due: Nanos,
    number: u64,
    what: T,
}

impl<T> TimerHeap<T> {
    pub(super) fn new() -> TimerHeap<T> {
        TimerHeap::since(clock::now())
    }

    /// Makes a heap whose nanoseconds are counted from `start`.
    pub(super) fn since(start: Instant) -> TimerHeap<T> {
        TimerHeap {
            start,
            heap: QuaternaryHeap::new(),
            live: Slab::new(),
            count: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Returns when the next timer is due.
    pub(super) fn next(&mut self) -> Option<Instant> {
        let due = self.next_live()?.due;
        Some(self.start + Duration::from_nanos(due))
    }

    /// Returns when the next timer is due, in nanoseconds since the start.
    #[inline]
    pub(super) fn next_nanos(&mut self) -> Option<u64> {
        self.next_live().map(|entry| entry.due)
    }

    /// Converts an instant, rounding down. An instant before the start becomes 0, and an
    /// instant more than 584 years after the start becomes the maximum.
    fn nanos(&self, instant: Instant) -> Nanos {
        let since = instant.saturating_duration_since(self.start);
        Nanos::try_from(since.as_nanos()).unwrap_or(Nanos::MAX)
    }

    fn next_live(&mut self) -> Option<Entry> {
        loop {
            let Reverse(entry) = *self.heap.peek()?;
            if is_live(&self.live, entry) {
                return Some(entry);
            }
            self.heap.pop();
        }
    }

    pub(super) fn add(&mut self, deadline: Instant, what: T) -> TimerKey {
        self.count += 1;
        let number = self.count;
        let due = self.nanos(deadline);
        let place = self.live.insert(Timer { due, number, what });
        self.heap.push(Reverse(Entry {
            due,
            order: number as u32,
            // Each timer belongs to a goroutine, started or not: 2^32 of them take all of 256 GiB
            // of memory.
            place: u32::try_from(place).unwrap_or_else(|_| panic!("more than 2^32 timers")),
        }));
        TimerKey { number, place }
    }

    /// Removes a timer, unless it has fired.
    pub(super) fn remove(&mut self, key: TimerKey) -> Option<T> {
        let timer = self.live.get(key.place)?;
        if timer.number != key.number {
            return None;
        }
        let removed = self.live.remove(key.place);
        if self.heap.len() > 2 * self.live.len() + DEAD_TIMERS {
            let live = &self.live;
            self.heap.retain(|Reverse(entry)| is_live(live, *entry));
        }
        Some(removed.what)
    }

    /// Takes out the earliest timer, if it is due at `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<T> {
        let entry = self.next_live()?;
        if entry.due > self.nanos(now) {
            return None;
        }
        self.heap.pop();
        Some(self.live.remove(entry.place as usize).what)
    }

    /// Gives back memory that a larger number of timers needed.
    pub(super) fn shrink(&mut self) {
        if self.live.is_empty() {
            self.heap = QuaternaryHeap::new();
            self.live = Slab::new();
        } else if self.heap.capacity() > 4 * self.heap.len() {
            self.heap.shrink_to_fit();
        }
    }
}

fn is_live<T>(live: &Slab<Timer<T>>, entry: Entry) -> bool {
    live.get(entry.place as usize)
        .is_some_and(|timer| timer.due == entry.due && timer.number as u32 == entry.order)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    /// Compares the heap with a sorted map.
    #[test]
    fn any_order_of_adding_removing_and_firing() {
        const NAMES: usize = 200;
        let mut random = fastrand::Rng::with_seed(7);
        let (mut timers, mut map) = (TimerHeap::new(), BTreeMap::new());
        let mut keys: Vec<Option<(TimerKey, (Instant, u64))>> = vec![None; NAMES];
        let (mut now, mut added, mut fired, mut removed) = (Instant::now(), 0_u64, 0, 0);
        for _ in 0..20_000 {
            let i = random.usize(..NAMES);
            match keys[i].take() {
                None => {
                    let deadline = now + Duration::from_micros(random.u64(..1000));
                    added += 1;
                    map.insert((deadline, added), i);
                    keys[i] = Some((timers.add(deadline, i), (deadline, added)));
                }
                Some((key, of_map)) => {
                    removed += usize::from(map.remove(&of_map).is_some());
                    assert!(timers.remove(key).is_none_or(|name| name == i));
                    // Removing a timer a second time, or after it has fired, does nothing.
                    assert_eq!(timers.remove(key), None);
                }
            }
            now += Duration::from_micros(random.u64(..10));
            while let Some(name) = timers.pop_due(now) {
                let ((deadline, _), i) = map.pop_first().unwrap();
                assert!(deadline <= now && name == i);
                fired += 1;
            }
            assert!(
                map.first_key_value()
                    .is_none_or(|((deadline, _), _)| *deadline > now)
            );
            assert_eq!(
                timers.next(),
                map.first_key_value().map(|((deadline, _), _)| *deadline)
            );
            assert_eq!(timers.is_empty(), map.is_empty());
            assert!(timers.heap.len() <= 2 * timers.live.len() + DEAD_TIMERS + 1);
        }
        assert!(fired > 1000 && removed > 1000, "{fired} {removed}");
    }
}
