//! Goroutines that block their threads do not keep others from starting.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use go_runtime::{JoinHandle, go, time};

use crate::placement::with_workers;

use go_tests::support::eventually;

/// Spawns a hundred goroutines that sleep for 10 ms, and waits for nearly all of them.
///
/// A few may have started on a worker just before a goroutine blocked it. Started goroutines never
/// move, so these end only when that goroutine does.
fn most_of_a_hundred_end() -> Vec<JoinHandle<()>> {
    let ended = Arc::new(AtomicUsize::new(0));
    let sleepers = (0..100).map(|_| {
        go!(clone(ended) {
            time::sleep(Duration::from_millis(10));
            ended.fetch_add(1, Ordering::SeqCst);
        })
    });
    let sleepers = sleepers.collect();
    eventually(|| ended.load(Ordering::SeqCst) >= 95);
    sleepers
}

#[test]
#[ignore = "run by others_end_while_two_threads_are_blocked"]
fn beside_two_that_receive() {
    let (blocked, release): (Vec<_>, Vec<_>) = (0..2)
        .map(|_| {
            let (release, released) = mpsc::channel::<()>();
            (
                go!({
                    let _ = released.recv();
                }),
                release,
            )
        })
        .unzip();
    let sleepers = most_of_a_hundred_end();
    assert!(blocked.iter().all(|blocked| !blocked.is_finished()));
    drop(release);
    let all = blocked.into_iter().chain(sleepers);
    all.for_each(|goroutine| goroutine.join().unwrap());
}

#[test]
#[ignore = "run by others_end_while_two_threads_are_blocked"]
fn beside_two_that_sleep() {
    let release = Arc::new(AtomicBool::new(false));
    let blocked: Vec<_> = (0..2)
        .map(|_| {
            go!(clone(release) {
                while !release.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(50));
                }
            })
        })
        .collect();
    let sleepers = most_of_a_hundred_end();
    assert!(blocked.iter().all(|blocked| !blocked.is_finished()));
    release.store(true, Ordering::SeqCst);
    let all = blocked.into_iter().chain(sleepers);
    all.for_each(|goroutine| goroutine.join().unwrap());
}

#[test]
fn others_end_while_two_threads_are_blocked() {
    with_workers(
        &["2", "3", "4", "8"],
        &[
            "held::beside_two_that_receive",
            "held::beside_two_that_sleep",
        ],
    );
}
