//! A worker's timers: the parked goroutines with a deadline, in order of time.
//!
//! Only the worker touches them. Each points at a parker on the stack of a goroutine of the same worker, and is
//! removed by that goroutine before the parker goes. What is removed early, as most timeouts are, leaves an entry without a timer in the
//! heap, which is passed over when its time comes; when there are more such than others, all are cleared away.

use std::cmp::Reverse;
use std::ptr::NonNull;
use std::time::Instant;

use dary_heap::QuaternaryHeap;
use slab::Slab;
use smallvec::SmallVec;

use super::parker::Parker;
use crate::primitives::prefetch::prefetch;

/// Names a timer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    /// Of two timers of one instant the earlier is first. It is never used again.
    number: u64,
    place: usize,
}

#[derive(Default)]
pub(super) struct Timers {
    /// The earliest is at the top; with dead entries.
    heap: QuaternaryHeap<Reverse<(Instant, TimerKey)>>,
    /// Those that have been neither fired nor removed.
    live: Slab<Timer>,
    count: u64,
}

struct Timer {
    number: u64,
    parker: NonNull<Parker>,
}

/// So many are fired at a time. Where very many wait each is cold, and so are the tables that say where its memory is: the fewer there are between
/// the first look at one and its turn to run, the more is still there.
const AT_A_TIME: usize = 64;

/// Some that have been taken out.
pub(super) type Due = SmallVec<[NonNull<Parker>; AT_A_TIME]>;

/// So many dead entries do not matter.
const FEW: usize = 64;

impl Timers {
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// When the next one is due.
    pub(super) fn next(&mut self) -> Option<Instant> {
        loop {
            let Reverse((deadline, key)) = *self.heap.peek()?;
            if is_live(&self.live, key) {
                return Some(deadline);
            }
            self.heap.pop();
        }
    }

    pub(super) fn add(&mut self, deadline: Instant, parker: &Parker) -> TimerKey {
        self.count += 1;
        let number = self.count;
        let parker = NonNull::from(parker);
        let place = self.live.insert(Timer { number, parker });
        let key = TimerKey { number, place };
        self.heap.push(Reverse((deadline, key)));
        key
    }

    /// Removes a timer, unless it has fired.
    pub(super) fn remove(&mut self, key: TimerKey) {
        if !is_live(&self.live, key) {
            return;
        }
        self.live.remove(key.place);
        if self.heap.len() > 2 * self.live.len() + FEW {
            let live = &self.live;
            self.heap.retain(|Reverse((_, key))| is_live(live, *key));
        }
    }

    /// Takes out those that are due at `now`, the earliest first, and has them fetched into the caches, until there are so many.
    pub(super) fn pop_due(&mut self, now: Instant, due: &mut Due) {
        while due.len() < AT_A_TIME && self.next().is_some_and(|next| next <= now) {
            let Some(Reverse((_, key))) = self.heap.pop() else {
                return;
            };
            let parker = self.live.remove(key.place).parker;
            let start = parker.as_ptr().cast::<u8>();
            prefetch(start);
            prefetch(start.wrapping_add(size_of::<Parker>() - 1));
            due.push(parker);
        }
    }

    /// Gives memory back that more timers have left.
    pub(super) fn shrink(&mut self) {
        if self.live.is_empty() {
            *self = Timers {
                count: self.count,
                ..Timers::default()
            };
        }
    }
}

fn is_live(live: &Slab<Timer>, key: TimerKey) -> bool {
    live.get(key.place)
        .is_some_and(|timer| timer.number == key.number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    /// Against a map, with a parker's address for its name.
    #[test]
    fn any_order_of_adding_removing_and_firing() {
        let parkers: Vec<Parker> = (0..200).map(|_| Parker::new()).collect();
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(7);
        let (mut timers, mut map) = (Timers::default(), BTreeMap::new());
        let mut keys: Vec<Option<(TimerKey, (Instant, u64))>> = vec![None; parkers.len()];
        let (mut now, mut added, mut fired, mut removed) = (start, 0_u64, 0, 0);
        for _ in 0..20_000 {
            let i = random.usize(..parkers.len());
            match keys[i].take() {
                None => {
                    let deadline = now + Duration::from_micros(random.u64(..1000));
                    added += 1;
                    map.insert((deadline, added), i);
                    keys[i] = Some((timers.add(deadline, &parkers[i]), (deadline, added)));
                }
                Some((key, of_map)) => {
                    removed += usize::from(map.remove(&of_map).is_some());
                    timers.remove(key);
                    // A second time, and for one that has fired, it does nothing.
                    timers.remove(key);
                }
            }
            now += Duration::from_micros(random.u64(..10));
            let mut due = Due::new();
            timers.pop_due(now, &mut due);
            assert!(due.len() < AT_A_TIME);
            for parker in due {
                let ((deadline, _), i) = map.pop_first().unwrap();
                assert!(deadline <= now && std::ptr::eq(parker.as_ptr(), &parkers[i]));
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
            assert!(timers.heap.len() <= 2 * timers.live.len() + FEW + 1);
        }
        assert!(fired > 1000 && removed > 1000, "{fired} {removed}");
    }
}
