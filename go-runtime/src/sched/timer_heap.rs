//! TimerHeap in order of time: of a worker's parked goroutines with a deadline, and (in
//! [`delayed`](super::delayed)) of goroutines that are yet to be queued.
//!
//! What is removed early, as most timeouts are, leaves an entry without a timer in the heap, which
//! is passed over when its time comes; when there are more such than others, all are cleared away.
//!
//! Four of the heap's entries fill a cache line, which is what a step down the heap of very many
//! costs. An entry says where its timer is, when it is due, and half of its number: should another
//! timer with all that the same have taken the place, firing that one is right as well, and the
//! entry of its own comes in vain.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use dary_heap::QuaternaryHeap;
use slab::Slab;

use super::tuning::DEAD_TIMERS;
use crate::clock;

/// Names a timer.
#[derive(Clone, Copy)]
pub(crate) struct TimerKey {
    /// It is never used again.
    number: u64,
    place: usize,
}

/// Nanoseconds since the timers' start.
type Nanos = u64;

/// `T` is what becomes due.
pub(super) struct TimerHeap<T> {
    start: Instant,
    /// The earliest is at the top; with dead entries.
    heap: QuaternaryHeap<Reverse<Entry>>,
    /// Those that have been neither fired nor removed.
    live: Slab<Timer<T>>,
    count: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    due: Nanos,
    /// Of two timers of one instant the earlier is first: the lower half of its number.
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

    /// TimerHeap whose nanoseconds are counted from `start`.
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

    /// When the next one is due.
    pub(super) fn next(&mut self) -> Option<Instant> {
        let due = self.next_live()?.due;
        Some(self.start + Duration::from_nanos(due))
    }

    /// When the next one is due, in nanoseconds since the start.
    #[inline]
    pub(super) fn next_nanos(&mut self) -> Option<u64> {
        self.next_live().map(|entry| entry.due)
    }

    /// Rounded down; of what lies before the start, or some hundred years behind it, only that.
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
            // Each is a goroutine, started or not: so many take all of a memory of 256 GiB.
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

    /// Takes out the earliest, if it is due at `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<T> {
        let entry = self.next_live()?;
        if entry.due > self.nanos(now) {
            return None;
        }
        self.heap.pop();
        Some(self.live.remove(entry.place as usize).what)
    }

    /// Gives memory back that more timers have left.
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

    /// Against a map.
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
                    // A second time, and for one that has fired, it does nothing.
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
