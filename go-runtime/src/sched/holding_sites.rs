//! Holding sites: the spawn sites whose goroutines have held a worker lately, by blocking its
//! thread or by computing.
//!
//! The next goroutine of such a site is likely to do the same, and every goroutine parked on its
//! worker would have to wait for it. So the goroutine starts only on a worker on which no goroutine
//! lives. If there is no such worker, its task is *quarantined* until the monitor's next tick, when
//! the monitor finds or adds a worker for it. The monitor stops adding workers once GOMAXPROCS plus
//! eight of them are not held: goroutines that hold their worker once and then park for long would
//! otherwise get a thread each. If tasks have been quarantined for 30 ms, all sites are
//! removed, none is added for a second, and the tasks may start on any worker.
//!
//! Only the monitor's thread writes the sites. Any worker may read them, quarantine tasks and take
//! those tasks. A quarantined task counts as placed, so it must not be placed again.

use std::panic::Location;
use std::ptr;

use crossbeam_deque::Injector;

use super::task::{MonitorTick, TaskRef};
use super::tuning::{SITE_EXPIRY, SITES};
use crate::primitives::atomic::{AtomicPtr, AtomicUsize, Ordering};

type Site = &'static Location<'static>;

/// The workers' side: the holding sites, and the quarantined tasks.
#[derive(Default)]
pub(super) struct HoldingSites {
    /// The addresses of the sites; all goroutines spawned by one call share an address. Null from
    /// index `count` on.
    sites: [AtomicPtr<Location<'static>>; SITES],
    count: AtomicUsize,
    /// Tasks of holding sites that wait for a worker on which no goroutine lives. They count as
    /// placed.
    pub(super) quarantined: Injector<TaskRef>,
}

impl HoldingSites {
    /// Returns whether there is any holding site.
    #[inline]
    pub(super) fn has_any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Returns whether goroutines spawned at `site` have held a worker lately.
    #[inline]
    pub(super) fn contains(&self, site: Site) -> bool {
        self.has_any() && self.search(site)
    }

    #[cold]
    fn search(&self, site: Site) -> bool {
        self.sites
            .iter()
            .any(|known| ptr::eq(known.load(Ordering::Relaxed), site))
    }

    /// Copies the monitor's record into the words that the workers read.
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

/// The monitor's side: the holding sites, and the tick at which a goroutine of each was last seen
/// to hold a worker.
#[derive(Default)]
pub(super) struct Record {
    sites: Vec<(Site, MonitorTick)>,
    /// The tick at which all sites were last removed because tasks had been quarantined for too
    /// long. No site is added for a while after this tick.
    paused_at: Option<MonitorTick>,
}

impl Record {
    /// Notes that a goroutine spawned at `site` holds its worker at the tick `now`.
    pub(super) fn note(&mut self, holding_sites: &HoldingSites, site: Site, now: MonitorTick) {
        if let Some((_, last)) = self
            .sites
            .iter_mut()
            .find(|(known, _)| ptr::eq(*known, site))
        {
            *last = now;
            return;
        }
        if self
            .paused_at
            .is_some_and(|paused| now.wrapping_sub(paused) < SITE_EXPIRY)
        {
            return;
        }
        if self.sites.len() == SITES {
            self.sites.remove(0);
        }
        self.sites.push((site, now));
        holding_sites.publish(&self.sites);
    }

    /// Removes the sites whose goroutines have held no worker for a while.
    pub(super) fn expire(&mut self, holding_sites: &HoldingSites, now: MonitorTick) {
        let before = self.sites.len();
        self.sites
            .retain(|(_, last)| now.wrapping_sub(*last) < SITE_EXPIRY);
        if self.sites.len() < before {
            holding_sites.publish(&self.sites);
        }
    }

    /// Removes all sites.
    pub(super) fn clear(&mut self, holding_sites: &HoldingSites) {
        if !self.sites.is_empty() {
            self.sites.clear();
            holding_sites.publish(&self.sites);
        }
    }

    /// Removes all sites, and adds none for a while.
    pub(super) fn clear_and_pause(&mut self, holding_sites: &HoldingSites, now: MonitorTick) {
        self.clear(holding_sites);
        self.paused_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holding_site_lasts_for_a_while() {
        let (holding_sites, mut record) = (HoldingSites::default(), Record::default());
        let [a, b] = [Location::caller(), first()];
        record.note(&holding_sites, a, 10);
        assert!(holding_sites.contains(a) && !holding_sites.contains(b));
        record.note(&holding_sites, b, 20);
        // A second hold renews the site's entry.
        record.note(&holding_sites, a, 30);
        record.expire(&holding_sites, 20 + SITE_EXPIRY);
        assert!(holding_sites.contains(a) && !holding_sites.contains(b));
        record.clear(&holding_sites);
        assert!(!holding_sites.contains(a));
        record.note(&holding_sites, a, 40);
        assert!(holding_sites.contains(a));
        record.clear_and_pause(&holding_sites, 50);
        record.note(&holding_sites, a, 51);
        assert!(!holding_sites.contains(a));
        record.note(&holding_sites, a, 50 + SITE_EXPIRY);
        assert!(holding_sites.contains(a));
    }

    #[track_caller]
    fn first() -> Site {
        Location::caller()
    }
}
