//! Silence: all workers sleep, and so does the monitor. Before it falls asleep it calls the `Look`
//! that `debug` has registered, and does so again when another thread begins to wait.
//!
//! ```text
//!   monitor   falls asleep --> look ......... asleep ......... look .... asleep
//!                                               ^
//!   thread    ................ waits: unpark ---'
//! ```

use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use super::global;
use super::runtime::Runtime;
use super::schedtrace;
use super::tuning::LOOKS_APART;
use crate::clock;
use crate::primitives::atomic::{AtomicBool, Ordering, fence};
use crate::primitives::thread_pool;

/// Looks at a process in which all workers have slept for the given time. Returns after which time
/// it wants to look again if nothing happens; `None` if never.
pub(crate) type Look = fn(Duration) -> Option<Duration>;

static LOOK: OnceLock<Look> = OnceLock::new();

/// Whether a thread has begun to wait since the last look.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// From now on `look` is called, on the monitor's thread, when all workers sleep. Only the first
/// call has an effect.
pub(crate) fn watch(look: Look) {
    let _ = LOOK.set(look);
}

/// Notes that the calling thread, which is no worker, is about to wait without a deadline.
pub(crate) fn note_waiting_thread() {
    let Some(runtime) = global::running() else {
        return;
    };
    // Either this thread sees that the monitor sleeps, or the monitor's look sees what this thread
    // has written before (see `MonitorSleep`).
    fence(Ordering::SeqCst);
    if runtime.monitor_sleep.is_on()
        && !BEGUN.swap(true, Ordering::SeqCst)
        && let Some(monitor) = runtime.monitor_thread.get()
    {
        monitor.unpark();
    }
}

/// Returns whether all workers have slept since the monitor fell asleep. For a look.
pub(crate) fn goes_on(runtime: &Runtime) -> bool {
    fence(Ordering::SeqCst);
    // In this order: to see that a worker sleeps is to see what it did before, so also that it has
    // ended the monitor's sleep, if it has been awake.
    runtime.all_asleep() && runtime.monitor_sleep.is_on()
}

/// Returns whether a worker will wake up by itself.
pub(crate) fn has_timers(runtime: &Runtime) -> bool {
    runtime
        .workers()
        .any(|worker| worker.alarm.is_set() || worker.delayed.next().is_some())
}

/// Returns how many threads the runtime has for goroutines, and to watch over them and trace them.
pub(crate) fn threads(runtime: &Runtime) -> usize {
    const MONITOR: usize = 1;
    runtime.workers().count() + MONITOR + schedtrace::threads()
}

/// Returns how many threads the runtime has, without those that wait for signals.
pub(crate) fn all_threads(runtime: &Runtime) -> usize {
    threads(runtime) + thread_pool::threads_of_all_pools()
}

/// Blocks the monitor's thread while its sleep goes on.
pub(super) fn last(runtime: &Runtime) {
    let since = clock::now();
    while runtime.monitor_sleep.is_on() {
        BEGUN.store(false, Ordering::SeqCst);
        let again = LOOK.get().and_then(|look| look(since.elapsed()));
        match again {
            Some(again) => thread::park_timeout(again),
            None => thread::park(),
        }
        // However many threads begin to wait, there are few looks.
        if BEGUN.load(Ordering::SeqCst) && runtime.monitor_sleep.is_on() {
            thread::park_timeout(LOOKS_APART);
        }
    }
}
