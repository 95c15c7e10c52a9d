//! In place of [`poller`](super::poller) on systems for which there is none: nothing is ever
//! registered.

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
