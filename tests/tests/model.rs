//! Model checks of the protocols on which every wake-up depends. loom runs these tests in every
//! order of the threads' steps (up to a number of preemptions), and with every result that the
//! memory orderings allow.
//!
//! The files under test are the runtime's own, compiled here a second time with loom's atomics in
//! place of std's: all of `channel` and `select`, and the parts of `sched` and `wait` named in
//! `model/sched.rs` and `model/wait.rs`.

#![allow(
    dead_code,
    missing_docs,
    unexpected_cfgs,
    unreachable_pub,
    unused_imports,
    clippy::undocumented_unsafe_blocks
)]

#[path = "../../go-runtime/src/channel/mod.rs"]
mod channel;
#[path = "model/primitives.rs"]
mod primitives;
#[path = "model/sched.rs"]
mod sched;
#[path = "../../go-runtime/src/select/mod.rs"]
pub mod select;
#[path = "model/wait.rs"]
mod wait;

/// Stands for a macro that the channels re-export; no model uses it.
pub fn select_biased() {}

/// The clock of a model. Time stands still unless the model moves it: loom decides, in
/// `Parker::park`, whether a deadline has come.
mod clock {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    thread_local! {
        /// The time that has passed. (All of loom's threads run on one thread of the system.)
        pub(crate) static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    pub(crate) fn now() -> Instant {
        static NOW: OnceLock<Instant> = OnceLock::new();
        *NOW.get_or_init(Instant::now) + PASSED.get()
    }

    pub(crate) fn after(_: Duration) -> Option<Instant> {
        (!crate::mutexes::IS_PATIENT.get()).then(now)
    }
}

/// Stands in for the goroutines; no model has timed channels.
mod goroutine {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    static NUMBERS: AtomicUsize = AtomicUsize::new(1);

    // All of loom's threads run on one thread of the system; only loom's own thread-locals tell
    // them apart.
    loom::thread_local! {
        static NUMBER: usize = NUMBERS.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn caller() -> usize {
        NUMBER.with(|number| *number)
    }

    pub(crate) struct DelayedSpawn;

    impl DelayedSpawn {
        pub(crate) fn new<F>(_: Option<Instant>, _: F) -> std::io::Result<DelayedSpawn> {
            unreachable!("timed channels are in no model")
        }

        pub(crate) fn stop(&self) -> bool {
            unreachable!("as above")
        }
    }
}

/// Alarms, each of which is a thread that may ring at any time. A model can wait for all of them.
mod time {
    use std::cell::RefCell;
    use std::time::Instant;

    use loom::thread::{self, JoinHandle};

    thread_local! {
        // (All of loom's threads run on one thread of the system.)
        static ALARMS: RefCell<Vec<JoinHandle<()>>> = const { RefCell::new(Vec::new()) };
    }

    pub(crate) struct AfterFunc;

    impl AfterFunc {
        pub(crate) fn stop(&self) -> bool {
            false
        }
    }

    pub(crate) fn after_func_at(_: Instant, f: impl FnOnce() + Send + 'static) -> AfterFunc {
        let alarm = thread::spawn(f);
        ALARMS.with_borrow_mut(|alarms| alarms.push(alarm));
        AfterFunc
    }

    pub(crate) fn wait_for_alarms() {
        let alarms = ALARMS.take();
        alarms.into_iter().for_each(|alarm| alarm.join().unwrap());
    }
}

#[path = "model/block_on.rs"]
mod block_on;
#[path = "model/channels.rs"]
mod channels;
#[path = "model/condvars.rs"]
mod condvars;
#[path = "model/contexts.rs"]
mod contexts;
#[path = "model/descriptors.rs"]
mod descriptors;
#[path = "model/futures.rs"]
mod futures;
#[path = "model/mutexes.rs"]
mod mutexes;
#[path = "model/rw_locks.rs"]
mod rw_locks;
#[path = "model/selects.rs"]
mod selects;
#[path = "model/semaphores.rs"]
mod semaphores;
#[path = "model/sync.rs"]
mod sync;
#[path = "model/wakeups.rs"]
mod wakeups;

/// Explores all interleavings with up to `preemptions` preemptions, and `MODEL_MORE` more, and
/// prints how many there were.
fn check(name: &str, preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let more = std::env::var("MODEL_MORE").ok();
    let preemptions = preemptions + more.and_then(|more| more.parse().ok()).unwrap_or(0);
    let runs = Arc::new(AtomicUsize::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    let counter = Arc::clone(&runs);
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!(
        "{name}: {} executions, up to {preemptions} preemptions",
        runs.load(Ordering::Relaxed)
    );
}
