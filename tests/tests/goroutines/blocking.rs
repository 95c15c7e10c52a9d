//! Code that blocks its thread: calls on threads of the pool, goroutines with their own threads,
//! and regions that do not park.
#![cfg(target_os = "linux")]

use std::cell::Cell;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use go_runtime::channel::{bounded, unbounded};
use go_runtime::sync::WaitGroup;
use go_runtime::{blocking, go, scope};

use go_tests::support::{child, eventually, in_both, in_goroutine, on_thread};

mod nesting;
mod own_thread;
mod without_parking;

#[test]
fn it_returns_what_the_closure_does_and_may_borrow() {
    in_both(|| {
        let text = String::from("borrowed");
        let mut count = 0;
        let length = blocking(|| {
            count += 1;
            text.len()
        });
        assert_eq!((length, count), (8, 1));
        assert_eq!(blocking(|| text), "borrowed");
    });
}

#[test]
fn from_a_goroutine_it_runs_elsewhere_and_from_a_thread_it_just_runs() {
    in_goroutine(|| {
        let here = thread::current().id();
        assert_ne!(blocking(|| thread::current().id()), here);
        // After the call the goroutine is on its own worker again.
        assert_eq!(thread::current().id(), here);
        // A call on a thread of the pool runs on that thread.
        assert!(blocking(|| {
            let pool = thread::current().id();
            blocking(|| thread::current().id()) == pool
        }));
    });
    on_thread(|| {
        let here = thread::current().id();
        assert_eq!(blocking(|| thread::current().id()), here);
    });
}

#[test]
fn a_panic_comes_back_with_its_payload() {
    in_both(|| {
        let failed = panic::catch_unwind(|| blocking(|| panic::panic_any(7_u8)));
        assert_eq!(failed.unwrap_err().downcast_ref::<u8>(), Some(&7));
        assert_eq!(blocking(|| 1), 1);
    });
}

/// In a `Drop` during unwinding goroutines do not switch: the call blocks its worker, and works.
#[test]
fn it_works_while_unwinding() {
    struct Call(mpsc::Sender<thread::ThreadId>);
    impl Drop for Call {
        fn drop(&mut self) {
            let id = blocking(|| thread::current().id());
            self.0.send(id).unwrap();
        }
    }
    let (tx, rx) = mpsc::channel();
    let failed = in_goroutine(move || {
        let here = thread::current().id();
        let failed = panic::catch_unwind(AssertUnwindSafe(|| {
            let _call = Call(tx);
            panic!("expected");
        }));
        assert_eq!(rx.recv().unwrap(), here);
        failed
    });
    assert!(failed.is_err());
}

/// Closures and results reach the other thread whole, and are dropped once.
#[test]
fn closures_and_results_are_dropped_once() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = || Counted(Arc::clone(&drops));
    let (given, failing) = (counted(), counted());
    in_goroutine(move || {
        let back = blocking(move || given);
        let failed = panic::catch_unwind(AssertUnwindSafe(|| {
            blocking(move || {
                let _failing = failing;
                panic!("expected")
            })
        }));
        assert!(failed.is_err());
        drop(back);
    });
    assert_eq!(drops.load(Ordering::Relaxed), 2);
}

/// With one worker the other goroutines go on, including those that the call waits for.
#[test]
#[ignore = "run by the_worker_goes_on"]
fn one_worker() {
    let (tx, rx) = mpsc::channel();
    let (ping, pings) = bounded::<usize>(0);
    let (pong, pongs) = bounded::<usize>(0);
    let echo = go!({ pings.iter().for_each(|n| pong.send(n).unwrap()) });
    let waiting = go!(move || blocking(move || rx.recv().unwrap()));
    let bringing = go! {
        for n in 0..1000 {
            ping.send(n).unwrap();
            assert_eq!(pongs.recv(), Ok(n));
        }
        drop(ping);
        tx.send("brought").unwrap();
    };
    assert_eq!(waiting.join().unwrap(), "brought");
    bringing.join().unwrap();
    echo.join().unwrap();
}

/// A hundred calls wait for each other, so a hundred threads are needed at once, but no worker.
#[test]
#[ignore = "run by the_worker_goes_on"]
fn a_hundred_at_once() {
    let all = Arc::new(Barrier::new(100));
    let calls: Vec<_> = (0..100)
        .map(|_| go!(clone(all) { blocking(|| all.wait().is_leader()) }))
        .collect();
    let leaders = calls.into_iter().filter_map(|call| call.join().ok());
    assert_eq!(leaders.filter(|leader| *leader).count(), 1);
}

#[test]
fn the_worker_goes_on() {
    child::succeed_with(&["1", "8"], &["one_worker", "a_hundred_at_once"]);
}

fn pool_threads() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let names =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "go-blocking").count()
}

/// The pool never has more threads than its ceiling, every call is made, and in the end no thread
/// is left.
#[test]
#[ignore = "run by the_pool_is_elastic"]
fn a_ceiling_of_three() {
    let busy = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let group = WaitGroup::new();
    for _ in 0..500 {
        group.add(1);
        go!(clone(busy, group) {
            blocking(|| {
                let (now, most) = &*busy;
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
            });
            group.done();
        });
    }
    group.wait();
    let most = busy.1.load(Ordering::SeqCst);
    assert!((1..=3).contains(&most), "{most}");
    assert!(pool_threads() <= 3);
    eventually(|| pool_threads() == 0);
    // The pool makes threads again.
    assert_eq!(go!(blocking(pool_threads)).join().unwrap(), 1);
}

#[test]
fn the_pool_is_elastic() {
    child::succeed("a_ceiling_of_three", &[("GOBLOCKING", "3")]);
}

#[test]
fn a_bad_ceiling_is_an_error() {
    let ended = child::run("one_worker", &[("GOBLOCKING", "many")]);
    assert!(!ended.status.success());
    ended.says(&["GOBLOCKING=\"many\"", "from 1 to"]);
}

/// Without memory for another thread a call fails with advice, and the goroutine and the runtime go
/// on.
#[test]
#[ignore = "run by no_thread_to_be_had"]
fn without_threads() {
    assert_eq!(go!({ 1 }).join().unwrap(), 1);
    // Takes nearly all address space, so that there is no room for a thread's stack.
    let mut taken: Vec<Vec<u8>> = Vec::new();
    let mut size = 256 << 20;
    while size >= 512 << 10 {
        let mut more = Vec::new();
        match more.try_reserve_exact(size) {
            Ok(()) => taken.push(more),
            Err(_) => size /= 2,
        }
    }
    let message = go!({
        let dropped = Cell::new(Some(String::from("captured")));
        let failed =
            panic::catch_unwind(AssertUnwindSafe(move || blocking(move || dropped.take())));
        let message = failed.unwrap_err();
        message.downcast_ref::<String>().cloned()
    })
    .join()
    .unwrap()
    .unwrap();
    assert!(
        message.contains("ulimit -u") && message.contains("no thread can be made"),
        "{message}"
    );
    // A function that returns a `Result` returns that error.
    let error = go!(go_runtime::fs::metadata("/"))
        .join()
        .unwrap()
        .unwrap_err();
    assert!(
        error.to_string().contains("no thread can be made"),
        "{error}"
    );
    drop(taken);
    assert_eq!(go!(blocking(|| 2)).join().unwrap(), 2);
    assert!(go!(go_runtime::fs::metadata("/")).join().unwrap().is_ok());
}

#[test]
fn no_thread_to_be_had() {
    child::succeed_within(600_000, "without_threads", &[("GOMAXPROCS", "1")]);
}

/// Many goroutines make calls on few threads, while they use channels.
#[test]
#[ignore = "run by calls_race"]
fn racing_calls() {
    let (tx, rx) = unbounded();
    let total = scope(|scope| {
        for worker in 0..200_usize {
            let tx = tx.clone();
            scope.spawn(move || {
                for n in 0..50 {
                    let value = worker * 50 + n;
                    let doubled = blocking(|| 2 * value);
                    tx.send(doubled).unwrap();
                }
            });
        }
        drop(tx);
        rx.iter().sum::<usize>()
    });
    assert_eq!(total, 10_000 * 9_999);
}

#[test]
fn calls_race() {
    for (workers, threads) in [("1", "1"), ("2", "2"), ("4", "64"), ("16", "8")] {
        child::succeed(
            "racing_calls",
            &[("GOMAXPROCS", workers), ("GOBLOCKING", threads)],
        );
    }
}
