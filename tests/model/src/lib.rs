//! Model checks of the protocols on which every wake-up depends. loom runs these tests in every
//! order of the threads' steps (up to a number of preemptions), and with every result that the
//! memory orderings allow.
//!
//! The files under test are the runtime's own, compiled here a second time with loom's atomics in
//! place of std's: all of `channel` and `select`, and the parts of `sched` and `wait` named in
//! `sched.rs` and `wait.rs`.

#![cfg(test)]
#![allow(
    dead_code,
    missing_docs,
    unexpected_cfgs,
    unreachable_pub,
    unused_imports,
    clippy::undocumented_unsafe_blocks
)]

// The runtime's own files.
#[path = "../../../go-runtime/src/channel/mod.rs"]
mod channel;
#[path = "../../../go-runtime/src/select/mod.rs"]
pub mod select;

// Some files of the runtime, with loom's stand-ins for the others.
mod primitives;
mod sched;
mod wait;

// Files that are only stand-ins.
mod clock;
mod goroutine;
mod time;

/// Stands for a macro that the channels re-export; no model uses it.
pub fn select_biased() {}

// The models.
mod block_on;
mod channels;
mod condvars;
mod contexts;
mod descriptors;
mod futures;
mod mutexes;
mod rw_locks;
mod selects;
mod semaphores;
mod sync;
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
