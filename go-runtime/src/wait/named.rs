//! Operations that are built from others: a semaphore's `acquire` receives from a channel, but
//! `debug` should show that it acquires.

use super::reason::Why;
use super::threads;
use crate::sched::Worker;

/// Runs `f`. `debug` shows every wait in it as a wait for `why`.
pub(crate) fn named<T>(why: Why, f: impl FnOnce() -> T) -> T {
    /// Restores the outer operation's `why` at the end, also if `f` unwinds.
    struct Restore(u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            replace(self.0);
        }
    }
    let _restore = Restore(replace(why.to_word()));
    f()
}

fn replace(outer: u64) -> u64 {
    match Worker::current() {
        Some(worker) => worker.replace_outer_wait(outer),
        None => threads::replace_outer(outer),
    }
}
