//! Spawn sites with a reputation: goroutines spawned there have held a worker lately, by blocking
//! its thread or by computing.
//!
//! The next goroutine of such a site is likely to do the same, and whatever is parked on its worker
//! would wait for it. So it starts only on a worker on which nothing is parked. If there is none,
//! it waits *apart* for the monitor's next look: then there is one, or the monitor adds one. Where
//! twice GOMAXPROCS workers accept goroutines already, the site is forgiven after a while, and the
//! goroutine starts like any other.
//!
//! The monitor alone writes the sites. Any worker reads them, and any worker puts tasks apart and
//! takes them.

use std::panic::Location;
use std::ptr;

use crossbeam_deque::Injector;

use super::task::{MonitorTick, TaskRef};
use crate::primitives::atomic::{AtomicPtr, AtomicUsize, Ordering};

type Site = &'static Location<'static>;

/// Most sites that have a reputation at a time; the one that got it first loses it to the next.
const SITES: usize = 16;
/// A site is forgiven after so many ticks without another hold: a second.
const FORGIVEN_AFTER: MonitorTick = 200;

#[derive(Default)]
pub(super) struct Reputation {
    /// The sites, as addresses, which are the same for all goroutines spawned by one piece of code;
    /// null where there is none.
    sites: [AtomicPtr<Location<'static>>; SITES],
    count: AtomicUsize,
    /// Tasks of such sites for which there was no worker without parked goroutines.
    pub(super) apart: Injector<TaskRef>,
}

impl Reputation {
    /// Whether any site has a reputation.
    #[inline]
    pub(super) fn is_any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Whether goroutines spawned at `site` have held a worker lately.
    #[inline]
    pub(super) fn is_bad(&self, site: Site) -> bool {
        self.is_any() && self.has(site)
    }

    #[cold]
    fn has(&self, site: Site) -> bool {
        self.sites
            .iter()
            .any(|known| ptr::eq(known.load(Ordering::Relaxed), site))
    }

    fn publish(&self, sites: &[(Site, MonitorTick)]) {
        for (i, place) in self.sites.iter().enumerate() {
            let site = sites
                .get(i)
                .map(|(site, _)| ptr::from_ref(*site).cast_mut());
            place.store(site.unwrap_or_default(), Ordering::Relaxed);
        }
        self.count.store(sites.len(), Ordering::Relaxed);
    }
}

/// The monitor's side: which sites have a reputation, and when each was seen to hold a worker last.
#[derive(Default)]
pub(super) struct Record {
    sites: Vec<(Site, MonitorTick)>,
}

impl Record {
    /// A goroutine spawned at `site` holds its worker at this moment.
    pub(super) fn note(&mut self, reputation: &Reputation, site: Site, now: MonitorTick) {
        if let Some((_, last)) = self
            .sites
            .iter_mut()
            .find(|(known, _)| ptr::eq(*known, site))
        {
            *last = now;
            return;
        }
        if self.sites.len() == SITES {
            self.sites.remove(0);
        }
        self.sites.push((site, now));
        reputation.publish(&self.sites);
    }

    /// Forgives the sites that have held no worker for a while.
    pub(super) fn age(&mut self, reputation: &Reputation, now: MonitorTick) {
        let before = self.sites.len();
        self.sites
            .retain(|(_, last)| now.wrapping_sub(*last) < FORGIVEN_AFTER);
        if self.sites.len() < before {
            reputation.publish(&self.sites);
        }
    }

    /// Forgives all sites.
    pub(super) fn forgive(&mut self, reputation: &Reputation) {
        self.sites.clear();
        reputation.publish(&self.sites);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reputation_lasts_for_a_while() {
        let (reputation, mut record) = (Reputation::default(), Record::default());
        let [a, b] = [Location::caller(), first()];
        record.note(&reputation, a, 10);
        assert!(reputation.is_bad(a) && !reputation.is_bad(b));
        record.note(&reputation, b, 20);
        // Another hold renews it.
        record.note(&reputation, a, 30);
        record.age(&reputation, 20 + FORGIVEN_AFTER);
        assert!(reputation.is_bad(a) && !reputation.is_bad(b));
        record.forgive(&reputation);
        assert!(!reputation.is_bad(a));
    }

    #[track_caller]
    fn first() -> Site {
        Location::caller()
    }
}
