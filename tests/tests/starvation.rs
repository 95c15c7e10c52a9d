//! Nobody waits for ever for its turn on a worker, whatever goes on there: the oldest that have not started, those whose time has come, those
//! that let others run by asking in vain. Each test was made for one that did wait, for seconds or for ever.

#[path = "support/child.rs"]
mod child;
mod support;

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use go_runtime::channel::{Select, bounded};
use go_runtime::time::sleep;
use go_runtime::{go, yield_now};

use support::{NET, in_goroutine};

/// Spawns its like for ever, until it is told to stop.
fn chain(stop: &Arc<AtomicBool>, local: bool) {
    if stop.load(Ordering::SeqCst) {
        return;
    }
    let stop = Arc::clone(stop);
    if local {
        go!(local; { chain(&stop, true) });
    } else {
        go!({ chain(&stop, false) });
    }
}

/// The newest are started first; and those that only this worker may start take turns with the others.
#[test]
#[ignore = "run by another with a GOMAXPROCS of its own"]
fn oldest_beside_chains() {
    in_goroutine(|| {
        let (stop, ran) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        for _ in 0..20 {
            go!(clone(ran) { ran.fetch_add(1, Ordering::SeqCst) });
        }
        for local in [false, true, false, true] {
            chain(&stop, local);
        }
        let end = Instant::now() + NET;
        while ran.load(Ordering::SeqCst) < 20 {
            assert!(Instant::now() < end, "the oldest starve");
            yield_now();
        }
        stop.store(true, Ordering::SeqCst);
    });
}

fn compute(duration: Duration) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        hint::spin_loop();
    }
}

/// Hundreds of sleepers whose time comes at once, beside one whose turns are long: it has had 64 turns for 16 of them.
#[test]
#[ignore = "run by another with a GOMAXPROCS of its own"]
fn sleepers_beside_long_turns() {
    const SLEEPERS: usize = 1000;
    const MOST_TURNS: usize = 1000;
    in_goroutine(|| {
        let woken = Arc::new(AtomicUsize::new(0));
        for _ in 0..SLEEPERS {
            go!(local; clone(woken) {
                sleep(Duration::from_millis(1));
                woken.fetch_add(1, Ordering::SeqCst);
            });
        }
        let mut turns = 0;
        while woken.load(Ordering::SeqCst) < SLEEPERS {
            compute(Duration::from_millis(1));
            yield_now();
            turns += 1;
        }
        assert!(turns < MOST_TURNS, "{turns} turns");
    });
}

/// Asking with no time left, or sleeping for none, is asking in vain.
#[test]
#[ignore = "run by another with a GOMAXPROCS of its own"]
fn those_who_ask_with_no_time_left_let_others_run() {
    in_goroutine(|| {
        let past = Instant::now();
        let (tx, rx) = bounded::<()>(0);
        go!(local; drop(tx));
        let mut select = Select::new();
        select.recv(&rx);
        while select.ready_timeout(Duration::ZERO).is_err() {}

        let (tx, rx) = bounded::<()>(0);
        go!(local; drop(tx));
        let mut select = Select::new();
        select.recv(&rx);
        while select.ready_deadline(past).is_err() {}

        let flag = Arc::new(AtomicBool::new(false));
        go!(local; clone(flag) { flag.store(true, Ordering::SeqCst) });
        while !flag.load(Ordering::SeqCst) {
            sleep(Duration::ZERO);
        }
    });
}

#[test]
fn nobody_starves() {
    child::succeed_with_few_and_many(&[
        "oldest_beside_chains",
        "sleepers_beside_long_turns",
        "those_who_ask_with_no_time_left_let_others_run",
    ]);
}
