//! Stands in for [`poller`](super::poller) on systems without one: no descriptor is ever
//! registered, and no `Poller` ever exists.

use std::time::Instant;

pub(super) enum Poller {}

impl Poller {
    pub(super) fn is_in_use(&self) -> bool {
        match *self {}
    }
    pub(super) fn wake(&self) {
        match *self {}
    }
    pub(super) fn poll(&self) -> bool {
        match *self {}
    }
    pub(super) fn sleep(&self, _until: Option<Instant>, _still: impl FnOnce() -> bool) -> bool {
        match *self {}
    }
}

#[derive(Default)]
pub(super) struct PollerSlot;

impl PollerSlot {
    pub(super) fn get(&self) -> Option<&Poller> {
        None
    }
}
