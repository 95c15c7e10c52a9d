//! The system has no more memory to give.
#![cfg(target_os = "linux")]

mod settings;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use go_runtime::channel::bounded;
use go_runtime::{Builder, go, num_goroutines};

use go_tests::support::child;

/// Runs in a process with little address space.
#[test]
#[ignore = "run by exhausted_stacks"]
fn under_a_limit() {
    let (stop, done) = bounded::<()>(0);
    let mut blocked = Vec::new();
    // Spawns goroutines until a spawn is refused.
    let error = loop {
        let done = done.clone();
        match Builder::new().spawn(move || done.recv().is_err()) {
            Ok(handle) => blocked.push(handle),
            Err(error) => break error,
        }
        assert!(blocked.len() < 1_000_000, "the limit is none");
        // A spawn is refused only after earlier goroutines have failed to start, so let them try.
        go_runtime::time::sleep(std::time::Duration::from_micros(1));
    };
    assert!(error.to_string().contains("ulimit -v"), "{error}");
    let refused = catch_unwind(AssertUnwindSafe(|| go!({}))).unwrap_err();
    let message = refused.downcast_ref::<String>().unwrap();
    assert!(message.contains("ulimit -v"), "{message}");

    // No goroutine is lost: those that wait for a stack get the stacks of goroutines that end.
    let count = blocked.len();
    assert!(count > 100, "{count}");
    drop(stop);
    let released = blocked.into_iter().filter_map(|handle| handle.join().ok());
    assert_eq!(released.filter(|closed| *closed).count(), count);
    assert_eq!(num_goroutines(), 0);
    assert_eq!(go!({ 6 * 7 }).join().unwrap(), 42);
}

#[test]
fn exhausted_stacks() {
    for workers in ["1", "2"] {
        let ended = child::succeed_within(500_000, "under_a_limit", &[("GOMAXPROCS", workers)]);
        let said = ended.err.matches("no memory for a stack of 262144 bytes");
        assert_eq!(said.count(), 1, "{}", ended.err);
    }
}

/// A goroutine gets its stack even if two others, which yield to each other all the time, keep the
/// worker busy.
#[test]
#[ignore = "run by a_busy_worker_serves_those_without_a_stack"]
fn beside_yielding_ones() {
    let (stop, done) = bounded::<()>(0);
    let resting = Arc::new(AtomicBool::new(false));
    let yielding: Vec<_> = (0..2)
        .map(|_| {
            go!(clone(resting) {
                while !resting.load(Ordering::Relaxed) {
                    go_runtime::yield_now();
                }
            })
        })
        .collect();
    let mut blocked = Vec::new();
    while let Ok(handle) = Builder::new().spawn({
        let done = done.clone();
        move || done.recv().is_err()
    }) {
        blocked.push(handle);
        go_runtime::time::sleep(std::time::Duration::from_micros(1));
    }
    drop(stop);
    assert!(blocked.into_iter().all(|handle| handle.join().unwrap()));
    resting.store(true, Ordering::Relaxed);
    yielding
        .into_iter()
        .for_each(|handle| handle.join().unwrap());
}

#[test]
fn a_busy_worker_serves_those_without_a_stack() {
    child::succeed_within(500_000, "beside_yielding_ones", &[("GOMAXPROCS", "1")]);
}

/// In each round there are more goroutines than stacks. The goroutines sleep and end: all of them
/// run, and no worker sleeps while they wait.
#[test]
#[ignore = "run by rounds_of_too_many"]
fn too_many_large_stacks() {
    for round in 0..60 {
        let sleepers: Vec<_> = (0..40)
            .filter_map(|i| {
                let time = std::time::Duration::from_millis(i % 7);
                let builder = Builder::new().stack_size(64 << 20);
                builder.spawn(move || go_runtime::time::sleep(time)).ok()
            })
            .collect();
        assert!(!sleepers.is_empty(), "{round}");
        sleepers
            .into_iter()
            .for_each(|sleeper| sleeper.join().unwrap());
    }
    assert_eq!(num_goroutines(), 0);
}

#[test]
fn rounds_of_too_many() {
    for workers in ["1", "2", "4"] {
        child::succeed_within(
            1_500_000,
            "too_many_large_stacks",
            &[("GOMAXPROCS", workers)],
        );
    }
}

/// One goroutine waits for a stack that this process can never have. The others go on, and only
/// stacks of this size are refused.
#[test]
#[ignore = "run by a_stack_too_large_for_the_system"]
fn beside_a_huge_stack() {
    let huge = 1 << 30;
    drop(go!(stack_size = huge; {}));
    // The spawn is refused only after a worker has tried to make such a stack.
    let refusal = loop {
        match Builder::new().stack_size(huge).spawn(|| ()) {
            Ok(_) => go_runtime::time::sleep(std::time::Duration::from_micros(1)),
            Err(error) => break error,
        }
    };
    assert_eq!(refusal.kind(), std::io::ErrorKind::OutOfMemory);
    for n in 0..1000 {
        assert_eq!(go!(move || n).join().unwrap(), n);
        let smaller = Builder::new().stack_size(1 << 20).spawn(move || n);
        assert_eq!(smaller.unwrap().join().unwrap(), n);
    }
    // Further stacks of this size are still refused.
    assert!(Builder::new().stack_size(huge).spawn(|| ()).is_err());
}

#[test]
fn a_stack_too_large_for_the_system() {
    for workers in ["1", "2"] {
        let ended =
            child::succeed_within(600_000, "beside_a_huge_stack", &[("GOMAXPROCS", workers)]);
        let said = ended.err.matches("no memory for a stack");
        assert_eq!(said.count(), 1, "{}", ended.err);
    }
}

/// If the workers cannot be made the program gets an error with advice, and does not abort.
#[test]
fn no_memory_for_workers() {
    let ended = child::run_within(300_000, "many_workers", &[("GOMAXPROCS", "1024")]);
    assert_eq!(ended.status.code(), Some(101), "{}", ended.all());
    ended.says(&["lower GOMAXPROCS"]);
}

#[test]
#[ignore = "run by no_memory_for_workers"]
fn many_workers() {
    go!({}).join().unwrap();
}
