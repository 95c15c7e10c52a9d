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
//! anything, are run by whoever gets them.
//! What a worker may not start waits for another one, but no longer than [`PATIENCE`].

use std::time::Duration;

/// How long a goroutine waits for the worker that should have it, while another one is idle.
pub(super) const PATIENCE: Duration = Duration::from_millis(1);

/// The weight of a goroutine that has not spawned any.
pub(super) const LEAF: usize = 2;

/// A worker's load (see above).
pub(super) fn load(leaves: usize, parents: usize) -> usize {
    leaves * LEAF + usize::from(parents > 0)
}

/// How many goroutines the other workers lack until each has at least as much as one with `load`.
fn lacking(load: usize, others: impl Iterator<Item = usize>) -> usize {
    others
        .map(|other| load.saturating_sub(other).div_ceil(LEAF))
        .sum()
}

/// Whether a worker with `load` may start one more, if `left` not yet started ones remain afterwards.
pub(super) fn may_start(load: usize, others: impl Iterator<Item = usize>, left: usize) -> bool {
    lacking(load, others) <= left
}

/// Whether it may whatever the others' loads are; saves looking at them.
pub(super) fn may_start_anyway(load: usize, others: usize, left: usize) -> bool {
    load.div_ceil(LEAF) * others <= left
}

/// How many of the `waiting` ones a worker with `load` may take from another's queue.
pub(super) fn share(
    load: usize,
    others: impl Iterator<Item = usize> + Clone,
    waiting: usize,
) -> usize {
    // The k-th one is started with a load of `load + (k - 1) * LEAF`; the lack grows with k, so search by halves.
    let fits = |k: usize| may_start(load + (k - 1) * LEAF, others.clone(), waiting - k);
    let (mut good, mut bad) = (0, waiting + 1);
    while bad - good > 1 {
        let k = good + (bad - good) / 2;
        if fits(k) { good = k } else { bad = k }
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_spread_one_on_each() {
        // `main` sits on worker 0 of 4 and has made a pool of 4.
        assert!(may_start(1, [0, 0, 0].into_iter(), 3));
        assert!(!may_start(3, [0, 0, 0].into_iter(), 2));
        // The others take one each, then no more.
        assert_eq!(share(0, [3, 0, 0].into_iter(), 3), 1);
        assert_eq!(share(2, [3, 0, 0].into_iter(), 2), 0);
    }

    #[test]
    fn a_partner_goes_to_the_other_worker() {
        assert!(!may_start(1, [0].into_iter(), 0));
        assert_eq!(share(0, [1].into_iter(), 1), 1);
    }

    #[test]
    fn many_are_cut_into_equal_runs() {
        assert_eq!(share(0, [0].into_iter(), 1000), 500);
        assert_eq!(share(0, [0, 0, 0].into_iter(), 1000), 250);
        assert_eq!(share(0, [0].into_iter(), 0), 0);
    }

    #[test]
    fn the_quick_check_is_never_laxer() {
        for load in 0..6 {
            for other in 0..6 {
                for left in 0..6 {
                    if may_start_anyway(load, 1, left) {
                        assert!(may_start(load, [other].into_iter(), left));
                    }
                }
            }
        }
    }
}
