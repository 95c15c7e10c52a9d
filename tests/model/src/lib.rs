//! Model checks of the protocols on which every wake-up depends. loom runs these tests in every
//! order of the threads' steps (up to a number of preemptions), and with every result that the
//! memory orderings allow.
//!
//! The files under test are the runtime's own, compiled here a second time with loom's atomics in
//! place of std's: all of `channel` and `select`, and those that the `#[path]` lines of the other
//! files here name.

#![cfg(test)]
#![allow(
    dead_code,
    missing_docs,
    unexpected_cfgs,
    unreachable_pub,
    unused_imports
)]

use std::cell::Cell;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, thread};

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
mod rings;
mod rw_locks;
mod selects;
mod semaphores;
mod sync;
mod wakeups;

/// Set in a process that runs one test.
const CHILD: &str = "MODEL_CHILD";

/// Explores all interleavings with up to `preemptions` preemptions, and `MODEL_MORE` more, and
/// prints how many there were.
///
/// loom maps and unmaps a stack for each thread of each execution, and threads of one process delay
/// each other there. So tests that run side by side run in processes of their own.
fn check(name: &str, preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    // The harness names a test's thread after the test, unless it uses its main thread.
    match thread::current().name().filter(|name| *name != "main") {
        Some(test) if env::var_os(CHILD).is_none() => run_in_a_process(test),
        _ => explore(name, preemptions, model),
    }
}

fn explore(name: &str, preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let more = env::var("MODEL_MORE").ok();
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

/// Runs all of this test in a process of its own when its first check is reached.
fn run_in_a_process(test: &str) {
    thread_local! {
        static HAS_RUN: Cell<bool> = const { Cell::new(false) };
    }
    if HAS_RUN.replace(true) {
        return;
    }
    let child = Command::new(env::current_exe().expect("this program has a path"))
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("this program starts again");
    let out = String::from_utf8_lossy(&child.stdout);
    print!("{out}");
    eprint!("{}", String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{test}: {}", child.status);
    // Checks that one test ran: if the harness knew the test by another name, none would have run.
    assert!(out.contains("1 passed"), "{test} was not run");
}
