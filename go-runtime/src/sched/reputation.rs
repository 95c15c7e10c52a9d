//! Spawn sites with a reputation: goroutines spawned there have held a worker lately, by blocking
//! its thread or by computing.
//!
//! The next goroutine of such a site is likely to do the same, and every goroutine parked on its
//! worker would have to wait for it. So the goroutine starts only on a worker on which no goroutine
//! lives. If there is no such worker, its task waits *apart* until the monitor's next tick, when
//! the monitor finds or adds a worker for it. The monitor stops adding workers once GOMAXPROCS plus
//! eight of them are not held: goroutines that hold their worker once and then park for long would
//! otherwise get a thread each. If tasks have been apart for 30 ms, all sites are pardoned for a
//! second, and the tasks may start on any worker.
//!
//! Only the monitor's thread writes the sites. Any worker may read them, put tasks apart and take
//! those tasks. A task that is put apart counts as placed, so it must not be placed again.

use std::panic::Location;
use std::ptr;

use crossbeam_deque::Injector;

use super::task::{MonitorTick, TaskRef};
use super::tuning::{FORGIVEN_AFTER, SITES};
use crate::primitives::atomic::{AtomicPtr, AtomicUsize, Ordering};

type Site = &'static Location<'static>;

/// The workers' side: the sites that have a reputation, and the tasks that wait apart.
#[derive(Default)]
pub(super) struct Reputation {
    /// The addresses of the sites; all goroutines spawned by one call share an address. Null from
    /// index `count` on.
    sites: [AtomicPtr<Location<'static>>; SITES],
    count: AtomicUsize,
    /// Tasks of such sites that wait for a worker on which no goroutine lives. All count as placed.
    pub(super) apart: Injector<TaskRef>,
}

impl Reputation {
    /// Returns whether any site has a reputation.
    #[inline]
    pub(super) fn is_any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Returns whether goroutines spawned at `site` have held a worker lately.
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

    /// Copies the monitor's record to where the workers read it.
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

/// The monitor's side: the sites that have a reputation, and the tick at which a goroutine of each
/// was last seen to hold a worker.
#[derive(Default)]
pub(super) struct Record {
    sites: Vec<(Site, MonitorTick)>,
    /// The tick of the last pardon, which was given because tasks had waited apart for too long.
    /// For a while after it, no site gets a reputation.
    pardon: Option<MonitorTick>,
}

impl Record {
    /// Notes that a goroutine spawned at `site` holds its worker at the tick `now`.
    pub(super) fn note(&mut self, reputation: &Reputation, site: Site, now: MonitorTick) {
        if let Some((_, last)) = self
            .sites
            .iter_mut()
            .find(|(known, _)| ptr::eq(*known, site))
        {
            *last = now;
            return;
        }
        if self
            .pardon
            .is_some_and(|pardon| now.wrapping_sub(pardon) < FORGIVEN_AFTER)
        {
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
        if !self.sites.is_empty() {
            self.sites.clear();
            reputation.publish(&self.sites);
        }
    }

    /// Forgives all sites, and gives no site a reputation for a while.
    pub(super) fn pardon(&mut self, reputation: &Reputation, now: MonitorTick) {
        self.forgive(reputation);
        self.pardon = Some(now);
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
        // A second hold renews the reputation.
        record.note(&reputation, a, 30);
        record.age(&reputation, 20 + FORGIVEN_AFTER);
        assert!(reputation.is_bad(a) && !reputation.is_bad(b));
        record.forgive(&reputation);
        assert!(!reputation.is_bad(a));
        record.note(&reputation, a, 40);
        assert!(reputation.is_bad(a));
        record.pardon(&reputation, 50);
        record.note(&reputation, a, 51);
        assert!(!reputation.is_bad(a));
        record.note(&reputation, a, 50 + FORGIVEN_AFTER);
        assert!(reputation.is_bad(a));
    }

    #[track_caller]
    fn first() -> Site {
        Location::caller()
    }
}
