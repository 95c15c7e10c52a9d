//! Groups: goroutines for whose end a scope, or a wait group, waits.
//!
//! A goroutine notes its group, for `debug`, when it begins to run, so that a spawn costs nothing.

use super::threads;
use crate::sched::Worker;

/// Runs `f`. Meanwhile the calling goroutine counts as one of the group at `group`, an address that
/// is also the object of the waits for the group.
pub(crate) fn in_group<T>(group: usize, f: impl FnOnce() -> T) -> T {
    /// Leaves the group at the end, also if `f` unwinds.
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            set(0);
        }
    }
    set(group);
    let _leave = Leave;
    f()
}

fn set(group: usize) {
    match Worker::current().and_then(Worker::running_fiber) {
        Some(fiber) => fiber.set_group(group),
        None => threads::set_group(group),
    }
}
