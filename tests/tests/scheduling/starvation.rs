//! No goroutine waits for ever for its turn on a worker: neither the oldest unstarted goroutine,
//! nor one whose timer has fired, nor one beside a goroutine that polls in vain. In each of these
//! cases a goroutine once waited for seconds or for ever.

#[cfg(target_os = "linux")]
mod real_time;

use std::cell::Cell;
use std::hint;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use go_runtime::channel::{Select, bounded, unbounded};
use go_runtime::net::UnixStream;
use go_runtime::sync::{Condvar, Mutex, Semaphore};
use go_runtime::time::{sleep, tick};
use go_runtime::{block_on, go, select, yield_now};

use go_tests::support::{NET, child, in_goroutine};

/// Spawns a goroutine that spawns its successor, and so on, until `stop` is set.
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

/// The oldest unstarted goroutines start, even beside chains of new ones, which are started first,
/// and of local ones, which take turns with the others.
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

/// While local goroutines wait to start, the two ends of a short queue still take turns: the oldest
/// goroutine is among the first to start. (It once was the last one.)
#[test]
#[ignore = "run by another with a GOMAXPROCS of its own"]
fn oldest_of_few_beside_local_ones() {
    const FEW: usize = 8;
    const ROUNDS: usize = 20;
    in_goroutine(|| {
        let early = (0..ROUNDS).filter(|_| {
            let started = Arc::new(Mutex::new(Vec::new()));
            let few: Vec<_> = (0..FEW)
                .map(|n| go!(clone(started) { started.lock().unwrap().push(n) }))
                .collect();
            let local: Vec<_> = (0..4 * FEW).map(|_| go!(local; {})).collect();
            few.into_iter().for_each(|one| one.join().unwrap());
            local.into_iter().for_each(|one| one.join().unwrap());
            let started = started.lock().unwrap();
            started[..FEW / 2].contains(&0)
        });
        // On a busy machine a second worker may be added, and delay what it takes.
        let early = early.count();
        assert!(early >= ROUNDS / 2, "{early} of {ROUNDS}");
    });
}

fn compute(duration: Duration) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        hint::spin_loop();
    }
}

/// Hundreds of sleepers whose time comes at once get their turn beside a goroutine with long turns.
/// (That goroutine once had 64 turns for every 16 sleepers.)
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

/// A poll with no time left, or a sleep of zero, counts as a poll in vain.
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

        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        let flag = Arc::new(AtomicBool::new(false));
        go!(local; clone(flag) { flag.store(true, Ordering::SeqCst) });
        while !flag.load(Ordering::SeqCst) {
            let guard = mutex.lock().unwrap();
            let waited = condvar.wait_timeout_while(guard, Duration::ZERO, |()| true);
            assert!(waited.unwrap().1.timed_out());
        }
    });
}

/// Repeats `operation`, which always succeeds, until a goroutine of the same worker has slept
/// twice.
#[track_caller]
fn repeat_beside_a_sleeper(what: &str, mut operation: impl FnMut()) {
    let woken = Arc::new(AtomicBool::new(false));
    go!(local; clone(woken) {
        (0..2).for_each(|_| sleep(Duration::from_millis(1)));
        woken.store(true, Ordering::SeqCst);
    });
    let end = Instant::now() + NET;
    while !woken.load(Ordering::SeqCst) {
        operation();
        assert!(Instant::now() < end, "{what}: the other one starves");
    }
}

/// Operations that may wait, but never need to, also let others run.
#[test]
#[ignore = "run by another with a GOMAXPROCS of its own"]
fn those_who_never_need_to_wait() {
    in_goroutine(|| {
        let free = Arc::new(Semaphore::new(1));
        let (_stop, done) = bounded::<()>(0);
        let hour = Duration::from_secs(3600);
        repeat_beside_a_sleeper("acquire", || drop(free.acquire().unwrap()));
        repeat_beside_a_sleeper("acquire_owned", || {
            drop(Arc::clone(&free).acquire_owned().unwrap());
        });
        repeat_beside_a_sleeper("acquire_timeout", || {
            drop(free.acquire_timeout(1, hour).unwrap());
        });
        repeat_beside_a_sleeper("acquire_with", || {
            drop(free.acquire_with(1, &done).unwrap())
        });
        let (tx, rx) = bounded(1);
        let send = || tx.send(()).unwrap();
        repeat_beside_a_sleeper("recv", || {
            send();
            rx.recv().unwrap();
        });
        repeat_beside_a_sleeper("recv_timeout", || {
            send();
            rx.recv_timeout(hour).unwrap();
        });
        repeat_beside_a_sleeper("recv_async", || {
            send();
            block_on(rx.recv_async()).unwrap();
        });
        let (to_none, from_none) = bounded(1);
        to_none.close();
        repeat_beside_a_sleeper("recv_async, closed", || {
            block_on(from_none.recv_async()).unwrap_err();
        });
        repeat_beside_a_sleeper("send_async, closed", || {
            block_on(to_none.send_async(())).unwrap_err();
        });
        repeat_beside_a_sleeper("iter", || {
            send();
            rx.iter().next().unwrap();
        });
        repeat_beside_a_sleeper("tick", || {
            tick(Duration::from_nanos(1)).recv().unwrap();
        });
        repeat_beside_a_sleeper("select", || {
            select! { send(tx, ()) -> sent => sent.unwrap(), recv(done) -> _ => {} }
            select! { recv(rx) -> got => got.unwrap(), default(hour) => {} }
        });
        repeat_beside_a_sleeper("Select", || {
            send();
            let mut list = Select::new();
            list.recv(&rx);
            list.ready();
            list.select().recv(&rx).unwrap();
        });
        let (mut one, mut other) = UnixStream::pair().unwrap();
        repeat_beside_a_sleeper("read", || {
            one.write_all(b"!").unwrap();
            other.read_exact(&mut [0]).unwrap();
        });
    });
}

/// Sends, attempts and unlocks that succeed never let other goroutines run, because they may be
/// called under one of std's locks.
#[test]
fn those_who_must_not_switch() {
    in_goroutine(|| {
        let ran = Rc::new(Cell::new(false));
        let told = Rc::clone(&ran);
        let other = go!(local; move || told.set(true));
        let (tx, rx) = unbounded();
        let (bounded_tx, bounded_rx) = bounded(1);
        let (semaphore, mutex) = (Semaphore::new(1), Mutex::new(0));
        let end = Instant::now() + Duration::from_millis(25);
        while Instant::now() < end {
            tx.send(1).unwrap();
            rx.try_recv().unwrap();
            bounded_tx.send_timeout(1, Duration::from_secs(1)).unwrap();
            bounded_rx.try_recv().unwrap();
            tx.send(1).unwrap();
            select! { recv(rx) -> got => got.unwrap(), default => panic!("empty") };
            drop(semaphore.try_acquire().unwrap());
            *mutex.lock().unwrap() += 1;
            *mutex.try_lock().unwrap() += 1;
        }
        assert!(!ran.get());
        other.join().unwrap();
    });
}

#[test]
fn nobody_starves() {
    child::succeed_with_few_and_many(&[
        "those_who_never_need_to_wait",
        "oldest_beside_chains",
        "sleepers_beside_long_turns",
        "those_who_ask_with_no_time_left_let_others_run",
    ]);
    child::succeed("oldest_of_few_beside_local_ones", &[("GOMAXPROCS", "1")]);
}
