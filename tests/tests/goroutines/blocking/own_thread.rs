//! Goroutines with their own threads.

use std::cell::Cell;
use std::collections::HashSet;
use std::env;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use go_runtime::channel::{self, bounded};
use go_runtime::context::Context;
use go_runtime::net::{TcpListener, TcpStream};
use go_runtime::sync::WaitGroup;
use go_runtime::{
    Builder, JoinHandle, JoinSet, block_on, blocking, go, num_goroutines, panic_message, scope,
    select, spawn_local, time, without_parking, yield_now,
};

use go_tests::support::{child, eventually, in_both, in_goroutine};

fn on_own_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().thread().spawn(f).unwrap()
}

#[test]
fn it_is_a_goroutine_and_no_worker_runs_it() {
    in_both(|| {
        let named = Builder::new().name("db").thread().spawn(|| {
            let name = thread::current().name().map(str::to_owned);
            (thread::current().id(), name)
        });
        let named = named.unwrap();
        assert!(format!("{named:?}").contains("db"), "{named:?}");
        let (id, name) = named.join().unwrap();
        assert_ne!(id, thread::current().id());
        assert_eq!(name.as_deref(), Some("go-thread"));
        let failed = on_own_thread(|| panic!("no luck")).join().unwrap_err();
        assert_eq!(panic_message(&*failed), "no luck");
    });
}

#[test]
fn what_parks_a_goroutine_works_as_on_threads() {
    in_goroutine(|| {
        let (ping, pings) = bounded::<u32>(0);
        let (pong, pongs) = bounded::<u32>(0);
        let (stop, done) = bounded::<()>(0);
        let echo = on_own_thread(move || {
            let mut count = 0;
            loop {
                select! {
                    recv(pings) -> n => pong.send(n.unwrap()).unwrap(),
                    recv(done) -> _ => break,
                }
                count += 1;
            }
            count
        });
        for n in 0..100 {
            ping.send(n).unwrap();
            assert_eq!(pongs.recv(), Ok(n));
        }
        drop(stop);
        assert_eq!(echo.join().unwrap(), 100);

        let all = on_own_thread(|| {
            let (ctx, cancel) = Context::background().with_timeout(Duration::from_secs(3600));
            let counter = Arc::new(go_runtime::sync::Mutex::new(0));
            let wg = WaitGroup::new();
            for _ in 0..4 {
                let (counter, ctx) = (Arc::clone(&counter), ctx.clone());
                wg.go(move || {
                    let _ = ctx.done().recv();
                    *counter.lock().unwrap() += 1;
                });
            }
            time::sleep(Duration::from_millis(1));
            yield_now();
            cancel.cancel();
            wg.wait();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = go!({
                let (mut stream, _) = listener.accept().unwrap();
                let mut text = [0; 4];
                stream.read_exact(&mut text).unwrap();
                stream.write_all(&text).unwrap();
            });
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"echo").unwrap();
            let mut text = [0; 4];
            client.read_exact(&mut text).unwrap();
            server.join().unwrap();
            assert!(select! { recv(channel::after(Duration::from_millis(1))) -> t => t.is_ok() });
            let here = thread::current().id();
            assert_eq!(blocking(|| thread::current().id()), here);
            assert_eq!(without_parking(|| thread::current().id()), here);
            assert_eq!(block_on(async { 5 }), 5);
            assert_eq!(&text, b"echo");
            *counter.lock().unwrap()
        });
        assert_eq!(all.join().unwrap(), 4);
    });
}

#[test]
fn in_scopes_and_sets() {
    in_both(|| {
        let numbers = [1, 2, 3];
        let here = thread::current().id();
        let sum = scope(|s| {
            let child = Builder::new().thread().spawn_scoped(s, || {
                assert_ne!(thread::current().id(), here);
                numbers.iter().sum::<i32>()
            });
            child.unwrap().join().unwrap()
        });
        assert_eq!(sum, 6);
        let mut set = JoinSet::new();
        for n in numbers {
            set.spawn_with(Builder::new().thread(), move || n).unwrap();
        }
        let mut sum = 0;
        while let Some(n) = set.join_next() {
            sum += n.unwrap();
        }
        assert_eq!(sum, 6);
    });
}

#[test]
fn what_shares_a_worker_is_refused() {
    let refused = in_goroutine(|| {
        let local = on_own_thread(|| Builder::new().spawn_local(|| ()).map(drop).unwrap_err());
        let both = Builder::new().thread().spawn_local(|| ()).map(drop);
        (local.join().unwrap(), both.unwrap_err())
    });
    assert_eq!(refused.0.kind(), ErrorKind::Unsupported);
    assert!(
        refused.0.to_string().contains("thread of its own"),
        "{}",
        refused.0
    );
    assert_eq!(refused.1.kind(), ErrorKind::InvalidInput);
    assert!(refused.1.to_string().contains("leave out"), "{}", refused.1);
    let bad = Builder::new().thread().stack_size(3).spawn(|| ());
    assert_eq!(bad.map(drop).unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// Uses `n` KiB of the stack.
fn deep(n: usize) -> u8 {
    let used = [n as u8; 1024];
    let used = std::hint::black_box(&used);
    if n == 0 {
        used[0]
    } else {
        deep(n - 1).wrapping_add(used[1])
    }
}

#[test]
fn stacks_are_a_threads_or_of_the_size_that_was_asked_for() {
    // (Unoptimized code uses more than it declares.)
    on_own_thread(|| deep(200)).join().unwrap();
    let large = Builder::new().thread().stack_size(64 << 20);
    large.spawn(|| deep(5_000)).unwrap().join().unwrap();
    let value = [1_u8; 50_000];
    let back = on_own_thread(move || value).join().unwrap();
    assert_eq!(back.len(), value.len());
}

#[test]
fn a_guard_of_stds_may_be_held_over_a_wait() {
    in_goroutine(|| {
        let lock = Arc::new(Mutex::new(0));
        let (tx, rx) = bounded::<()>(0);
        let all: Vec<_> = (0..4)
            .map(|_| {
                let (lock, rx) = (Arc::clone(&lock), rx.clone());
                on_own_thread(move || {
                    let mut count = lock.lock().unwrap();
                    rx.recv().unwrap();
                    *count += 1;
                })
            })
            .collect();
        (0..4).for_each(|_| tx.send(()).unwrap());
        all.into_iter()
            .for_each(|goroutine| goroutine.join().unwrap());
        assert_eq!(*lock.lock().unwrap(), 4);
    });
}

/// No other goroutine runs on a goroutine's own thread while that goroutine waits.
#[test]
fn no_sibling_shares_the_thread() {
    thread_local! {
        static INSIDE: Cell<bool> = const { Cell::new(false) };
    }
    in_goroutine(|| {
        let (tx, rx) = bounded::<()>(0);
        let inside = Arc::new(AtomicUsize::new(0));
        let all: Vec<_> = (0..20)
            .map(|_| {
                let (rx, inside) = (rx.clone(), Arc::clone(&inside));
                on_own_thread(move || {
                    assert!(!INSIDE.replace(true));
                    inside.fetch_add(1, Ordering::Relaxed);
                    rx.recv().unwrap();
                    assert!(INSIDE.replace(false));
                    thread::current().id()
                })
            })
            .collect();
        eventually(|| inside.load(Ordering::Relaxed) == 20);
        (0..20).for_each(|_| tx.send(()).unwrap());
        let ids = all.into_iter().map(|goroutine| goroutine.join().unwrap());
        assert_eq!(ids.collect::<HashSet<ThreadId>>().len(), 20);
    });
}

/// Runs in a process of its own, where no other goroutines are counted and no other threads are
/// made.
#[test]
#[ignore = "run by counts_and_threads"]
fn alone_counted_and_used_again() {
    let before = num_goroutines();
    let (tx, rx) = bounded::<()>(0);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let rx = rx.clone();
            on_own_thread(move || rx.recv())
        })
        .collect();
    assert_eq!(num_goroutines(), before + 3);
    drop(tx);
    waiting
        .into_iter()
        .for_each(|goroutine| assert!(goroutine.join().unwrap().is_err()));
    assert_eq!(num_goroutines(), before);
    // An idle thread is used again. (The ids of threads are never reused.)
    let mut ids = HashSet::new();
    eventually(|| !ids.insert(on_own_thread(|| thread::current().id()).join().unwrap()));
}

/// At a ceiling of three threads the fourth goroutine starts when another has ended.
#[test]
#[ignore = "run by counts_and_threads"]
fn alone_at_the_ceiling() {
    assert_eq!(env::var("GOBLOCKING").as_deref(), Ok("3"));
    let started = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = bounded::<()>(0);
    let waiting = |builder: Builder| {
        let (started, rx) = (Arc::clone(&started), rx.clone());
        let body = move || {
            started.fetch_add(1, Ordering::Relaxed);
            rx.recv().unwrap();
        };
        builder.thread().spawn(body).unwrap()
    };
    let first: Vec<_> = (0..3).map(|_| waiting(Builder::new())).collect();
    eventually(|| started.load(Ordering::Relaxed) == 3);
    // (The pool for blocking calls has its own threads.)
    assert_eq!(in_goroutine(|| blocking(|| 1)), 1);
    let special = waiting(Builder::new().stack_size(1 << 20));
    let usual = waiting(Builder::new());
    assert_eq!(started.load(Ordering::Relaxed), 3);
    (0..5).for_each(|_| tx.send(()).unwrap());
    first
        .into_iter()
        .chain([special, usual])
        .for_each(|goroutine| goroutine.join().unwrap());
}

#[test]
#[ignore = "run by counts_and_threads"]
fn alone_a_thousand() {
    let (ask, asked) = bounded::<u32>(0);
    let (answer, answers) = bounded::<u32>(0);
    let all: Vec<_> = (0..1000)
        .map(|_| {
            let (asked, answer) = (asked.clone(), answer.clone());
            on_own_thread(move || asked.iter().for_each(|n| answer.send(n).unwrap()))
        })
        .collect();
    let sum = in_goroutine(move || {
        let asking = go!({ (0..5000).for_each(|n| ask.send(n).unwrap()) });
        let sum: u32 = answers.iter().take(5000).sum();
        asking.join().unwrap();
        sum
    });
    assert_eq!(sum, 4999 * 5000 / 2);
    all.into_iter()
        .for_each(|goroutine| goroutine.join().unwrap());
}

#[test]
fn counts_and_threads() {
    let tests = ["alone_counted_and_used_again", "alone_a_thousand"];
    let tests = tests.map(|test| format!("own_thread::{test}"));
    child::succeed_with_few_and_many(&tests.each_ref().map(String::as_str));
    child::succeed("own_thread::alone_at_the_ceiling", &[("GOBLOCKING", "3")]);
}

#[test]
fn values_that_are_not_send_stay_out() {
    // A goroutine on a worker runs beside one with its own thread: each `Rc` stays on its thread.
    in_goroutine(|| {
        let here = Rc::new(Cell::new(0));
        let same = Rc::clone(&here);
        let local = spawn_local(move || same.set(1));
        let theirs = on_own_thread(|| Rc::new(Cell::new(2)).get());
        local.join().unwrap();
        assert_eq!(here.get() + theirs.join().unwrap(), 3);
    });
}

/// The goroutine itself may drop its result, whose `Drop` waits.
#[test]
fn a_result_that_nobody_takes_is_dropped_there() {
    struct Waits(
        channel::Receiver<()>,
        mpsc::Sender<ThreadId>,
        Arc<AtomicBool>,
    );
    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.recv().unwrap();
            self.2.store(true, Ordering::Relaxed);
            self.1.send(thread::current().id()).unwrap();
        }
    }
    in_both(|| {
        let (tx, rx) = bounded::<()>(0);
        let (id, ids) = mpsc::channel();
        let dropped = Arc::new(AtomicBool::new(false));
        let value = Waits(rx, id, Arc::clone(&dropped));
        let (detach, detached) = bounded::<()>(0);
        drop(on_own_thread(move || {
            assert!(detached.recv().is_err());
            value
        }));
        drop(detach);
        tx.send(()).unwrap();
        assert_ne!(ids.recv().unwrap(), thread::current().id());
        assert!(dropped.load(Ordering::Relaxed));
    });
}
