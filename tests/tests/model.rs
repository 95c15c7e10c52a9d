//! The protocols on which every wake-up depends, model-checked: loom runs these tests in every order that the threads'
//! steps can be put in (up to a number of preemptions), with the results that the memory orderings allow.
//!
//! The files under test are the runtime's own, compiled here a second time with loom's atomics in place of std's.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::undocumented_unsafe_blocks
)]

#[path = "model/channel.rs"]
mod channel;
#[path = "model/primitives.rs"]
mod primitives;
#[path = "model/sched.rs"]
mod sched;

#[path = "model/channels.rs"]
mod channels;
#[path = "model/sync.rs"]
mod sync;
#[path = "model/wakeups.rs"]
mod wakeups;

/// Explores all interleavings with up to `preemptions` preemptions, and `MODEL_MORE` more, and says how many there were.
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
