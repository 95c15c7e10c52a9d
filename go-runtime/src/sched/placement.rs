//! Placement: which worker starts a goroutine. It is decided once, because a started goroutine stays where it is.
//!
//! The measure is a worker's load: two for each live goroutine that has spawned none, and one if the worker has any
//! that has. Those who spawn mostly wait for what they spawned; counting them in full would keep the worker of
//! `main` out of every pool that `main` makes, not counting them at all would put two who talk to each other on
//! one thread by chance.
//!
//! A worker may start one more goroutine if enough others are left, not yet started, to bring each less loaded
//! worker up to its own level. So GOMAXPROCS goroutines that wait on one channel end up one on each worker, from
//! wherever they were spawned; a thousand of them are cut into a few runs; and short ones, which end before they weigh
//! anything, are run by whoever gets them. Where many live, a thirtieth more or less is as good as equal.
//!
//! The rule holds under races because a [`Survey`] never counts a goroutine twice: it reads the loads first, then
//! how many were ever spawned, and last how many have been placed, each of which only grows. So `left` is never too
//! high, and a worker that is unsure leaves the goroutine to others.
//!
//! What a worker may not start waits for a less loaded one: however long the system takes to run the thread of
//! one that sleeps or looks for work, for it will come; but not for one that a goroutine keeps busy ([`Held`]).

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::clock;

/// After computing for so long while something waits for it, a worker counts as kept busy. Its own time, not the world's: one
/// that was merely interrupted by the system will come.
const COMPUTING: Duration = Duration::from_micros(200);

/// After so long it counts as kept busy in any case: it may be blocked in a call of the system.
const BLOCKED: Duration = Duration::from_millis(20);

/// The weight of a goroutine that has not spawned any.
const LEAF: usize = 2;

/// A worker's load (see above).
pub(super) fn load(leaves: usize, parents: usize) -> usize {
    leaves * LEAF + usize::from(parents > 0)
}

/// Another worker, as seen from outside.
#[derive(Clone, Copy)]
pub(super) struct Other {
    pub(super) load: usize,
    /// It is running a goroutine.
    pub(super) busy: bool,
    /// Its place among all workers.
    pub(super) index: usize,
}

/// What a worker goes by.
pub(super) struct Survey {
    pub(super) others: SmallVec<[Other; 8]>,
    /// Goroutines that nobody has started, everywhere; never too high.
    pub(super) waiting: usize,
}

/// How many goroutines the others lack until each has a load of `level`.
fn lacking(level: usize, others: impl Iterator<Item = Other>) -> usize {
    others
        .map(|other| level.saturating_sub(other.load).div_ceil(LEAF))
        .sum()
}

/// What is as good as `load`.
fn about(load: usize) -> usize {
    load - load / 32
}

impl Survey {
    /// Whether a worker with `load` may start one of the `waiting`.
    pub(super) fn may_start(&self, load: usize) -> bool {
        self.waiting > 0 && lacking(about(load), self.others.iter().copied()) < self.waiting
    }

    /// Whether it may if those for which `keeps_out` lose their turn.
    fn may_start_without(&self, load: usize, keeps_out: impl Fn(&Other) -> bool) -> bool {
        let others = self.others.iter().copied();
        let rest = others.filter(|other| !keeps_out(other));
        self.waiting > 0 && lacking(about(load), rest) < self.waiting
    }

    /// How many a worker with `load` may take out of a queue of `queued`.
    pub(super) fn share(&self, load: usize, queued: usize) -> usize {
        let most = queued.min(self.waiting);
        // The k-th one is started with a load of `load + (k - 1) * LEAF`; the lack grows with k, so search by halves.
        let fits = |k: usize| {
            lacking(load + (k - 1) * LEAF, self.others.iter().copied()) <= self.waiting - k
        };
        let (mut good, mut bad) = (0, most + 1);
        while bad - good > 1 {
            let k = good + (bad - good) / 2;
            if fits(k) { good = k } else { bad = k }
        }
        good.max(usize::from(most > 0 && self.may_start(load)))
    }
}

/// Something waits that a worker with less to do should start.
pub(super) struct Held {
    since: Instant,
    /// How long each worker had computed then, if the system says so.
    computed: SmallVec<[Option<Duration>; 8]>,
}

impl Held {
    pub(super) fn new(computed: impl Iterator<Item = Option<Duration>>) -> Held {
        Held {
            since: clock::now(),
            computed: computed.collect(),
        }
    }

    /// Whether those who should start it are all kept busy, so that a worker with `load` may do it.
    pub(super) fn is_overdue(
        &self,
        survey: &Survey,
        load: usize,
        now: Instant,
        computed: impl Fn(usize) -> Option<Duration>,
    ) -> bool {
        // Don't ask the system before it can matter.
        if now < self.since + COMPUTING || !survey.may_start_without(load, |other| other.busy) {
            return false;
        }
        now >= self.since + BLOCKED
            || survey.may_start_without(load, |other| {
                other.busy
                    && computed(other.index)
                        .zip(self.computed.get(other.index).copied().flatten())
                        .is_some_and(|(now, then)| now >= then + COMPUTING)
            })
    }

    /// When to look again.
    pub(super) fn next_look(&self) -> Instant {
        let now = clock::now();
        now + COMPUTING.max((now - self.since) / 4)
    }
}

/// Whether a worker with `load` may start one of the `waiting` in its own queue whatever the `others` have; saves a
/// survey.
pub(super) fn may_start_anyway(load: usize, others: usize, waiting: usize) -> bool {
    load.div_ceil(LEAF) * others < waiting
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(loads: &[usize], waiting: usize) -> Survey {
        let others = loads.iter().enumerate().map(|(index, &load)| Other {
            load,
            busy: false,
            index,
        });
        Survey {
            others: others.collect(),
            waiting,
        }
    }

    #[test]
    fn a_pool_is_spread_one_on_each() {
        // `main` sits on worker 0 of 4 and has made a pool of 4.
        assert!(survey(&[0, 0, 0], 4).may_start(1));
        assert!(!survey(&[0, 0, 0], 3).may_start(3));
        // The others take one each, then no more.
        assert_eq!(survey(&[3, 0, 0], 3).share(0, 3), 1);
        assert_eq!(survey(&[3, 0, 0], 2).share(2, 2), 0);
    }

    #[test]
    fn a_partner_goes_to_the_other_worker() {
        assert!(!survey(&[0], 1).may_start(1));
        assert_eq!(survey(&[1], 1).share(0, 1), 1);
    }

    #[test]
    fn many_are_cut_into_equal_runs() {
        assert_eq!(survey(&[0], 1000).share(0, 1000), 500);
        assert_eq!(survey(&[0, 0, 0], 1000).share(0, 1000), 250);
        assert_eq!(survey(&[0], 0).share(0, 0), 0);
        assert_eq!(survey(&[0], 16).share(0, 16), 8);
    }

    #[test]
    fn about_equal_is_equal_where_many_live() {
        assert!(survey(&[1950], 1).may_start(2000));
        assert!(!survey(&[1900], 1).may_start(2000));
    }

    #[test]
    fn only_those_kept_busy_lose_their_turn() {
        let held = Held {
            since: clock::now(),
            computed: [Some(Duration::ZERO)].into_iter().collect(),
        };
        let soon = held.since + COMPUTING;
        let mut survey = survey(&[0], 1);
        assert!(!survey.may_start(2));
        assert!(!held.is_overdue(&survey, 2, soon, |_| Some(COMPUTING)));
        survey.others[0].busy = true;
        assert!(held.is_overdue(&survey, 2, soon, |_| Some(COMPUTING)));
        assert!(!held.is_overdue(&survey, 2, soon, |_| Some(COMPUTING / 2)));
        assert!(!held.is_overdue(&survey, 2, soon, |_| None));
        assert!(held.is_overdue(&survey, 2, held.since + BLOCKED, |_| None));
    }

    #[test]
    fn the_least_loaded_may_always_start() {
        for least in 0..20 {
            assert!(survey(&[least, least + 1, least + 7], 1).may_start(least));
        }
    }

    #[test]
    fn the_quick_check_is_never_laxer() {
        for load in 0..20 {
            for other in 0..20 {
                for waiting in 0..20 {
                    if may_start_anyway(load, 1, waiting) {
                        assert!(survey(&[other], waiting).may_start(load));
                    }
                }
            }
        }
    }
}
