//! Regions of code in which a goroutine does not park.

use std::cell::Cell;
use std::io::{Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use go_runtime::channel::{self, TryRecvError, bounded};
use go_runtime::net::{TcpListener, TcpStream};
use go_runtime::sync::{Condvar, Mutex, RwLock, Semaphore, WaitGroup};
use go_runtime::{
    Builder, block_on, blocking, go, scope, select, spawn_local, time, without_parking, yield_now,
};

use go_tests::support::{child, in_both, in_goroutine, settle};

/// Runs `f` in a region. Checks that another goroutine of the worker, which is always ready, does
/// not run meanwhile.
fn alone<T>(f: impl FnOnce() -> T) -> T {
    let turns = Rc::new(Cell::new(0));
    let end = Rc::new(Cell::new(false));
    let sibling = spawn_local({
        let (turns, end) = (Rc::clone(&turns), Rc::clone(&end));
        move || {
            while !end.get() {
                turns.set(turns.get() + 1);
                yield_now();
            }
        }
    });
    settle();
    let before = turns.get();
    assert!(before > 0);
    let result = without_parking(f);
    assert_eq!(turns.get(), before, "a sibling ran in the region");
    end.set(true);
    // After the region the goroutine parks again.
    sibling.join().unwrap();
    result
}

/// Lets a thread run `f` after the caller has probably begun to wait. (If the caller has not, its
/// wait is only shorter.)
fn later<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::spawn(|| {
        thread::sleep(Duration::from_millis(2));
        f()
    })
}

#[test]
fn what_would_park_blocks_the_thread() {
    in_goroutine(|| {
        let (tx, rx) = bounded::<u32>(0);
        let (tx2, rx2) = (tx.clone(), rx.clone());
        alone(move || {
            yield_now();
            time::sleep(Duration::from_millis(1));
            let sender = later(move || tx2.send(1));
            assert_eq!(rx.recv(), Ok(1));
            sender.join().unwrap().unwrap();
            let receiver = later(move || rx2.recv());
            tx.send(2).unwrap();
            assert_eq!(receiver.join().unwrap(), Ok(2));
            let (stop, done) = bounded::<()>(0);
            let stopper = later(move || drop(stop));
            assert!(select! { recv(done) -> end => end.is_err(), send(tx, 3) -> _ => false });
            stopper.join().unwrap();
            let timeout = rx.recv_timeout(Duration::from_millis(1));
            assert!(timeout.is_err());
            assert!(channel::after(Duration::from_millis(1)).recv().is_ok());
        });
    });
}

#[test]
fn locks_and_counters() {
    in_goroutine(|| {
        alone(|| {
            let mutex = Arc::new(Mutex::new(0));
            let (held, is_held) = std::sync::mpsc::channel();
            let holder = thread::spawn({
                let mutex = Arc::clone(&mutex);
                move || {
                    let mut guard = mutex.lock().unwrap();
                    held.send(()).unwrap();
                    thread::sleep(Duration::from_millis(2));
                    *guard = 1;
                }
            });
            is_held.recv().unwrap();
            assert_eq!(*mutex.lock().unwrap(), 1);
            holder.join().unwrap();

            let lock = Arc::new(RwLock::new(0));
            let (held, is_held) = std::sync::mpsc::channel();
            let writer = thread::spawn({
                let lock = Arc::clone(&lock);
                move || {
                    let mut guard = lock.write().unwrap();
                    held.send(()).unwrap();
                    thread::sleep(Duration::from_millis(2));
                    *guard = 1;
                }
            });
            is_held.recv().unwrap();
            assert_eq!(*lock.read().unwrap(), 1);
            writer.join().unwrap();
            *lock.write().unwrap() = 2;

            let pair = Arc::new((Mutex::new(false), Condvar::new()));
            let notifier = later({
                let pair = Arc::clone(&pair);
                move || {
                    *pair.0.lock().unwrap() = true;
                    pair.1.notify_one();
                }
            });
            let ready = pair.0.lock().unwrap();
            assert!(*pair.1.wait_while(ready, |ready| !*ready).unwrap());
            notifier.join().unwrap();

            let wg = WaitGroup::new();
            let semaphore = Arc::new(Semaphore::new(1));
            let permit = semaphore.acquire().unwrap();
            wg.go({
                let semaphore = Arc::clone(&semaphore);
                move || drop(semaphore.acquire().unwrap())
            });
            drop(permit);
            // (Another worker runs that goroutine; the runtime adds one if necessary.)
            wg.wait();
            assert_eq!(go!({ 5 }).join().unwrap(), 5);
            let sum = scope(|s| s.spawn(|| 6).join().unwrap());
            assert_eq!(sum, 6);
        });
    });
}

#[test]
fn sockets_futures_and_blocking_calls() {
    in_goroutine(|| {
        alone(|| {
            let here = thread::current().id();
            assert_eq!(blocking(|| thread::current().id()), here);
            let (tx, rx) = bounded::<u32>(0);
            let sender = later(move || tx.send(7));
            assert_eq!(block_on(rx.recv_async()), Ok(7));
            sender.join().unwrap().unwrap();

            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let client = later(move || {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                thread::sleep(Duration::from_millis(2));
                stream.write_all(b"text").unwrap();
                let mut text = [0; 4];
                stream.read_exact(&mut text).unwrap();
                text
            });
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = [0; 4];
            stream.read_exact(&mut text).unwrap();
            stream.write_all(&text).unwrap();
            assert_eq!(&client.join().unwrap(), b"text");
            let mut end = Vec::new();
            stream
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
            stream.read_to_end(&mut end).unwrap();
            assert!(TcpStream::connect(address).is_ok());
        });
    });
}

#[test]
fn polls_in_vain_do_not_switch_either() {
    in_goroutine(|| {
        let (tx, rx) = bounded::<u32>(1);
        alone(|| {
            let sender = later(move || tx.send(1));
            while rx.try_recv() == Err(TryRecvError::Empty) {}
            sender.join().unwrap().unwrap();
            let (_tx, never) = bounded::<()>(0);
            for _ in 0..1000 {
                select! { recv(never) -> _ => unreachable!(), default => {} }
            }
        });
    });
}

#[test]
fn nested_and_left_by_panics() {
    in_goroutine(|| {
        alone(|| {
            without_parking(|| time::sleep(Duration::from_millis(1)));
            // The outer region still counts.
            yield_now();
            let failed = panic::catch_unwind(|| without_parking(|| panic!("expected")));
            assert!(failed.is_err());
            yield_now();
        });
        let failed = panic::catch_unwind(AssertUnwindSafe(alone_and_fail));
        assert!(failed.is_err());
        // The goroutine parks again.
        let ran = Rc::new(Cell::new(false));
        let same = Rc::clone(&ran);
        spawn_local(move || same.set(true)).join().unwrap();
        assert!(ran.get());
    });
}

fn alone_and_fail() {
    without_parking(|| {
        yield_now();
        panic!("expected")
    })
}

/// A region may begin and end in a `Drop` while the goroutine unwinds.
#[test]
fn while_unwinding() {
    struct Region(channel::Receiver<u32>, Arc<AtomicUsize>);
    impl Drop for Region {
        fn drop(&mut self) {
            let got = without_parking(|| self.0.recv().unwrap());
            self.1.store(got as usize, Ordering::Relaxed);
        }
    }
    let (tx, rx) = bounded(0);
    let got = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&got);
    let sender = later(move || tx.send(3));
    in_goroutine(move || {
        let failed = panic::catch_unwind(AssertUnwindSafe(|| {
            let _region = Region(rx, theirs);
            panic!("expected")
        }));
        assert!(failed.is_err());
        assert_eq!(alone(|| 4), 4);
    });
    sender.join().unwrap().unwrap();
    assert_eq!(got.load(Ordering::Relaxed), 3);
}

#[test]
fn elsewhere_it_just_runs() {
    in_both(|| {
        assert_eq!(without_parking(|| 1), 1);
        assert_eq!(blocking(|| without_parking(|| 2)), 2);
        let own = Builder::new().thread().spawn(|| without_parking(|| 3));
        assert_eq!(own.unwrap().join().unwrap(), 3);
    });
}

/// The region runs in the same goroutine; goroutines that it spawns on its own worker start
/// afterwards.
#[test]
fn it_is_the_same_goroutine() {
    in_goroutine(|| {
        let started = Rc::new(Cell::new(false));
        let local = without_parking(|| {
            let started = Rc::clone(&started);
            let local = spawn_local(move || started.set(true));
            yield_now();
            local
        });
        assert!(!started.get());
        local.join().unwrap();
        assert!(started.get());
    });
}

/// With one worker the runtime adds another, which starts the new goroutines.
#[test]
#[ignore = "run by others_go_on"]
fn alone_with_few_workers() {
    in_goroutine(|| {
        let ran = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&ran);
        without_parking(|| {
            go!(move || theirs.store(true, Ordering::Relaxed))
                .join()
                .unwrap()
        });
        assert!(ran.load(Ordering::Relaxed));
    });
}

/// Many goroutines call closures that have to nest on their thread, as closures of scoped
/// thread-locals do.
#[test]
#[ignore = "run by others_go_on"]
fn alone_closures_nest() {
    thread_local! {
        static DEPTH: Cell<usize> = const { Cell::new(0) };
    }
    fn nested<T>(f: impl FnOnce() -> T) -> T {
        let depth = DEPTH.get();
        DEPTH.set(depth + 1);
        let result = f();
        assert_eq!(DEPTH.replace(depth), depth + 1);
        result
    }
    let wg = WaitGroup::new();
    let (tx, rx) = bounded(0);
    for n in 0..50 {
        let (tx, rx) = (tx.clone(), rx.clone());
        wg.go(move || {
            for i in 0..20 {
                if n % 2 == 0 {
                    // The receiver has its own thread, so both go on.
                    without_parking(|| nested(|| nested(|| tx.send(i).unwrap())));
                } else {
                    let got =
                        without_parking(|| nested(|| rx.recv_timeout(Duration::from_millis(1))));
                    let _ = got;
                }
                yield_now();
            }
        });
    }
    drop(tx);
    let rest = Builder::new()
        .thread()
        .spawn(move || rx.iter().count())
        .unwrap();
    wg.wait();
    rest.join().unwrap();
}

#[test]
fn others_go_on() {
    let tests = ["alone_with_few_workers", "alone_closures_nest"];
    let tests = tests.map(|test| format!("without_parking::{test}"));
    child::succeed_with_few_and_many(&tests.each_ref().map(String::as_str));
}
