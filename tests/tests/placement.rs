//! Which worker starts a goroutine: a pool is spread over all of them. In processes of its own, because other tests
//! would keep workers busy, and then the rule gives way.

use std::collections::HashSet;
use std::env;
use std::process::Command;
use std::thread;

use go_runtime::channel::{bounded, unbounded};
use go_runtime::{go, gomaxprocs, spawn};

/// Makes GOMAXPROCS goroutines that wait on one channel, and counts the workers that they are on.
fn places_of_a_pool() -> usize {
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
    let places: HashSet<_> = places.iter().take(gomaxprocs()).collect();
    drop(jobs);
    // The next pool finds no leftovers of this one.
    pool.into_iter().for_each(|member| member.join().unwrap());
    places.len()
}

/// The part that runs in a process of its own.
#[test]
#[ignore = "run by a_pool_is_one_on_each_worker"]
fn one_on_each() {
    for round in 0..200 {
        assert_eq!(places_of_a_pool(), gomaxprocs(), "from a thread, {round}");
        let from_goroutine = spawn(places_of_a_pool).join().unwrap();
        assert_eq!(from_goroutine, gomaxprocs(), "from a goroutine, {round}");
    }
}

#[test]
fn a_pool_is_one_on_each_worker() {
    for workers in ["1", "2", "3", "4", "8", "16"] {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "one_on_each", "--ignored"])
            .env("GOMAXPROCS", workers)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "GOMAXPROCS={workers}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}
