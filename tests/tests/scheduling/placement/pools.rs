//! A pool of GOMAXPROCS goroutines is spread over all workers, one on each.

use std::collections::HashMap;
use std::thread;

use go_runtime::channel::{bounded, unbounded};
use go_runtime::{go, gomaxprocs, spawn};

use crate::placement::{alone, once_forgotten, with_workers};

use go_tests::support::{busy, child};

/// The number of pools in one run of `rounds_off`, half of them made from a thread and half from a
/// goroutine.
const ROUNDS: usize = 400;

/// Makes GOMAXPROCS goroutines that wait on one channel, and returns the number on each worker that
/// has any.
fn places_of_a_pool() -> Vec<usize> {
    let (jobs, todo) = bounded::<()>(0);
    let (here, places) = unbounded();
    let pool: Vec<_> = (0..gomaxprocs())
        .map(|_| {
            go!(clone(todo, here) {
                here.send(thread::current().id()).unwrap();
                let _ = todo.recv();
            })
        })
        .collect();
    let mut members = HashMap::new();
    for place in places.iter().take(gomaxprocs()) {
        *members.entry(place).or_insert(0) += 1;
    }
    drop(jobs);
    // The next pool must not find members of this one.
    pool.into_iter().for_each(|member| member.join().unwrap());
    members.into_values().collect()
}

/// Makes `rounds` pools from a thread and as many from a goroutine.
fn pools(rounds: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..2 * rounds).map(|round| {
        if round % 2 == 0 {
            places_of_a_pool()
        } else {
            spawn(places_of_a_pool).join().unwrap()
        }
    })
}

/// Prints in how many rounds one worker was left out, and in how many more than one.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn rounds_off() {
    let (mut one, mut more) = (0, 0);
    for places in pools(ROUNDS / 2) {
        match gomaxprocs() - places.len() {
            0 => {}
            1 => one += 1,
            _ => more += 1,
        }
    }
    println!("\noff by one: {one}\noff by more: {more}");
}

/// Runs `rounds_off`, and returns the two numbers that it prints.
#[track_caller]
fn count_rounds_off(workers: &str) -> (usize, usize) {
    let ended = child::succeed("pools::rounds_off", &[("GOMAXPROCS", workers)]);
    let count = |mark| ended.line(mark).trim().parse().unwrap();
    (count("off by one: "), count("off by more: "))
}

#[test]
fn one_on_each_worker() {
    let _alone = alone();
    for workers in ["1", "2", "3", "4", "8", "16"] {
        let mut runs = Vec::new();
        let is_exact = |run: &((usize, usize), bool)| run.0 == (0, 0);
        // Other processes may disturb a run, so there are more of them while others compute.
        let most = |runs: &[(_, bool)]| if runs.iter().any(|run| run.1) { 30 } else { 3 };
        while runs.len() < most(&runs) && !runs.iter().any(is_exact) {
            runs.push(busy::beside_others(|| count_rounds_off(workers)));
        }
        assert!(
            runs.iter().any(is_exact),
            "GOMAXPROCS={workers}: off by one, by more, and whether others computed: {runs:?}"
        );
    }
}

/// While the kernel may stop a worker at any time, some members start on another worker.
#[test]
fn one_on_each_worker_beside_busy_processes() {
    let _alone = alone();
    let _busy = busy::processes(2);
    for workers in ["2", "4", "8", "16"] {
        let (one, more) = count_rounds_off(workers);
        assert!(
            more == 0 && one * 50 <= ROUNDS,
            "GOMAXPROCS={workers}: off by one {one}, by more {more}"
        );
    }
}

/// A worker reads the loads of only 16 others, so the pool is not spread exactly, but at most three
/// members share a worker.
#[test]
#[ignore = "run by few_on_each_of_64_workers"]
fn few_on_each() {
    for places in pools(25) {
        assert!(places.iter().all(|members| *members <= 3), "{places:?}");
    }
}

#[test]
fn few_on_each_of_64_workers() {
    with_workers(&["64"], &["pools::few_on_each"]);
}

/// Goroutines that have been parked for long do not count, however they were made.
#[test]
#[ignore = "run by one_on_each_worker_beside_parked_goroutines"]
fn beside_parked() {
    let (stop, done) = bounded::<()>(0);
    let (parked, counted) = unbounded();
    // Each of these goroutines makes a hundred local ones, which all stay on its worker.
    for _ in 0..gomaxprocs().div_ceil(2) {
        go!(clone(done, parked) {
            for _ in 0..100 {
                go!(local; clone(done, parked) {
                    parked.send(()).unwrap();
                    let _ = done.recv();
                });
            }
            let _ = done.recv();
        });
    }
    let locals = 100 * gomaxprocs().div_ceil(2);
    // Goroutines that any worker may start, spawned from this thread and from a goroutine.
    let spawn_some = |count: usize| {
        for _ in 0..count {
            go!(clone(done, parked) {
                parked.send(()).unwrap();
                let _ = done.recv();
            });
        }
    };
    spawn_some(50);
    let spawner = go!(clone(done, parked) {
        for _ in 0..150 {
            go!(clone(done, parked) {
                parked.send(()).unwrap();
                let _ = done.recv();
            });
        }
    });
    spawner.join().unwrap();
    assert_eq!(counted.iter().take(locals + 200).count(), locals + 200);
    once_forgotten(|| {
        let rounds: Vec<_> = pools(20).map(|places| places.len()).collect();
        let exact = rounds.iter().all(|places| *places == gomaxprocs());
        if exact { Ok(()) } else { Err(rounds) }
    });
    drop(stop);
}

#[test]
fn one_on_each_worker_beside_parked_goroutines() {
    with_workers(&["2", "4", "8", "16"], &["pools::beside_parked"]);
}
