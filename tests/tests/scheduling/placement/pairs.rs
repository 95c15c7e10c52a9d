//! Two goroutines that compute run on two workers, whatever else is parked there.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use go_runtime::channel::{bounded, unbounded};
use go_runtime::{JoinHandle, go, spawn, spawn_local, time, yield_now};

use crate::placement::{once_forgotten, with_workers, worker_name};

use go_tests::support::{NET, busy, in_goroutine};

const ROUNDS: usize = 5;

/// Computes for about a millisecond.
fn compute() {
    for n in 0..100_000_u64 {
        hint::black_box(n);
    }
}

/// Starts a goroutine that computes, and yields now and then, until `running` such goroutines run
/// at the same time. It returns the name of its worker.
fn computing(count: Arc<AtomicUsize>, running: usize) -> JoinHandle<String> {
    go!({
        count.fetch_add(1, Ordering::SeqCst);
        let begin = Instant::now();
        while count.load(Ordering::SeqCst) < running {
            assert!(begin.elapsed() < NET, "the other one never starts");
            compute();
            yield_now();
        }
        worker_name()
    })
}

/// Returns the places of two goroutines that compute at the same time, for each of a few rounds.
fn places_of_two() -> Vec<[String; 2]> {
    let round = |_| {
        let count = Arc::new(AtomicUsize::new(0));
        let (one, other) = (computing(Arc::clone(&count), 2), computing(count, 2));
        [one, other].map(|goroutine| goroutine.join().unwrap())
    };
    (0..ROUNDS).map(round).collect()
}

#[derive(Clone, Copy)]
enum Parked {
    /// With `go!`, all at once.
    AtOnce,
    /// With `go!`, one by one, so that each starts before the next one is spawned.
    OneByOne,
    /// With `go!(local)`.
    Local,
}

/// Parks `count` goroutines. Their spawner then spawns the goroutines that compute.
fn beside(count: usize, how: Parked) {
    in_goroutine(move || {
        let (stop, done) = bounded::<()>(0);
        let (parked, counted) = unbounded();
        for _ in 0..count {
            let (done, parked) = (done.clone(), parked.clone());
            let park = move || {
                parked.send(()).unwrap();
                let _ = done.recv();
            };
            match how {
                Parked::AtOnce => drop(spawn(park)),
                Parked::OneByOne => {
                    spawn(park);
                    time::sleep(Duration::from_micros(50));
                }
                Parked::Local => drop(spawn_local(park)),
            }
        }
        assert_eq!(counted.iter().take(count).count(), count);
        once_forgotten(|| {
            let places = places_of_two();
            let apart = places.iter().all(|[one, other]| one != other);
            if apart { Ok(()) } else { Err(places) }
        });
        drop(stop);
    });
}

#[test]
#[ignore = "run by two_that_compute_run_side_by_side"]
fn beside_a_thousand() {
    beside(1000, Parked::AtOnce);
}

#[test]
#[ignore = "run by two_that_compute_run_side_by_side"]
fn beside_a_thousand_spawned_one_by_one() {
    beside(1000, Parked::OneByOne);
}

#[test]
#[ignore = "run by two_that_compute_run_side_by_side"]
fn beside_ten_thousand_local_ones() {
    beside(10_000, Parked::Local);
}

/// A goroutine and its child take turns to compute, once for each message.
#[test]
#[ignore = "run by two_that_compute_run_side_by_side"]
fn a_goroutine_and_its_child() {
    in_goroutine(|| {
        for round in 0..ROUNDS {
            let (tx, rx) = bounded(1);
            let child = go! {
                for n in 0..20 {
                    compute();
                    tx.send(n).unwrap();
                }
                worker_name()
            };
            for _ in rx {
                compute();
            }
            assert_ne!(child.join().unwrap(), worker_name(), "in round {round}");
        }
    });
}

const TESTS: [&str; 4] = [
    "pairs::beside_a_thousand",
    "pairs::beside_a_thousand_spawned_one_by_one",
    "pairs::beside_ten_thousand_local_ones",
    "pairs::a_goroutine_and_its_child",
];

#[test]
fn two_that_compute_run_side_by_side() {
    with_workers(&["2"], &TESTS);
}

#[test]
fn two_that_compute_run_side_by_side_beside_busy_processes() {
    let _busy = busy::processes(2);
    with_workers(&["2"], &TESTS);
}
