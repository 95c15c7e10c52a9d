//! What brings a certain schedule about, and tells that it has come about.
//!
//! Nothing here waits in the runtime: the callers poll and yield.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use go_runtime::debug::{Goroutine, GoroutineState, WaitReason, goroutines};
use go_runtime::{num_goroutines, yield_now};

/// Far longer than any kernel takes, on the busiest machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Yields until the condition holds.
///
/// # Panics
/// If that takes too long.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "{what}: {:#?}", goroutines());
        yield_now();
    }
}

/// Something that happens once.
#[derive(Clone, Default)]
pub(crate) struct Event {
    happened: Arc<AtomicBool>,
}

impl Event {
    pub(crate) fn set(&self) {
        self.happened.store(true, Ordering::Release);
    }

    #[track_caller]
    pub(crate) fn wait(&self) {
        until("an event", || self.happened.load(Ordering::Acquire));
    }
}

/// A place that two goroutines leave only when both have come.
#[derive(Clone, Default)]
pub(crate) struct Meeting {
    arrived: Arc<AtomicUsize>,
}

impl Meeting {
    #[track_caller]
    pub(crate) fn wait(&self) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        until("a meeting", || self.arrived.load(Ordering::Acquire) >= 2);
    }
}

fn waits_as(one: &Goroutine, name: &str, reason: WaitReason) -> bool {
    one.name() == Some(name) && one.state() == GoroutineState::Waiting(reason)
}

/// Yields until the goroutine with this name waits for this reason.
#[track_caller]
pub(crate) fn parked(name: &str, reason: WaitReason) {
    until(name, || {
        goroutines().iter().any(|one| waits_as(one, name, reason))
    });
}

/// Returns the kernel's goroutines. They have names, of which none is main's.
#[must_use]
pub fn others() -> Vec<Goroutine> {
    let mut all = goroutines();
    all.retain(|one| one.name().is_some_and(|name| name != "main"));
    all
}

/// Yields until the kernel's goroutines wait as listed, or have ended. The caller is a goroutine,
/// and main joins it.
///
/// # Panics
/// If that takes too long.
#[track_caller]
pub fn settled(leaks: &[(&str, WaitReason)]) {
    until("the last wait", || {
        // Counts goroutines that have not started.
        num_goroutines() <= leaks.len() + 2 && waits(&others(), leaks)
    });
}

/// Returns whether the goroutines are just those listed, and wait for these reasons.
fn waits(all: &[Goroutine], leaks: &[(&str, WaitReason)]) -> bool {
    let mut left: Vec<_> = leaks.iter().collect();
    all.iter().all(|one| {
        let found = left.iter().position(|leak| waits_as(one, leak.0, leak.1));
        found.map(|at| left.swap_remove(at)).is_some()
    }) && left.is_empty()
}
