//! Which worker starts a goroutine, and how soon.
//!
//! The tests of places run in processes of their own, because goroutines of other tests would
//! change the workers' loads. They tell places apart by the threads' names and ids, and never by a
//! measured time, so a loaded machine changes nothing. Where a time is limited, only a starving
//! goroutine exceeds the limit.
#![cfg(target_os = "linux")]

use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use go_runtime::time;

use go_tests::support::child;

mod held;
mod pairs;
mod pools;
mod starved;

/// A time after which a parked goroutine no longer counts as recently active
/// (`go-runtime/src/sched/load.rs`), unless other processes keep the runtime's monitor from
/// counting the time.
const FORGOTTEN: Duration = Duration::from_millis(260);

/// Checks a property that holds once the parked goroutines no longer count. Retries, because that
/// takes longer on a loaded machine.
#[track_caller]
fn once_forgotten<E: Debug>(mut attempt: impl FnMut() -> Result<(), E>) {
    let mut errors = Vec::new();
    while errors.len() < 5 {
        time::sleep(FORGOTTEN);
        match attempt() {
            Ok(()) => return,
            Err(error) => errors.push(error),
        }
    }
    panic!("{errors:?}");
}

/// Keeps the other tests of this target from running child processes meanwhile.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the ignored tests one after the other with each number of workers.
#[track_caller]
fn with_workers(workers: &[&str], tests: &[&str]) {
    let _alone = alone();
    for &workers in workers {
        for test in tests {
            child::succeed(test, &[("GOMAXPROCS", workers)]);
        }
    }
}

/// Returns the name of the worker that the caller runs on.
fn worker_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}
