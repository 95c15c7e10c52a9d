//! Neither readers nor writers wait for ever, even if others lock in a loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use go_runtime::sync::RwLock;
use go_runtime::{go, yield_now};

use go_tests::support::{NET, child, in_goroutine, settle};

/// A lock, and whether the waiter for it has got it. Until then all other callers lock in loops,
/// without waiting for anything else or yielding.
#[derive(Default)]
struct Wanted {
    lock: RwLock<()>,
    had: AtomicBool,
}

impl Wanted {
    fn until_had(&self, f: impl Fn()) {
        let end = Instant::now() + NET;
        while !self.had.load(Ordering::SeqCst) {
            assert!(Instant::now() < end, "the other one starves");
            f();
        }
    }

    fn read(&self) {
        self.until_had(|| drop(self.lock.read().unwrap()));
    }

    fn write(&self) {
        self.until_had(|| drop(self.lock.write().unwrap()));
    }

    fn wants_to_read(&self) {
        drop(self.lock.read().unwrap());
        self.had.store(true, Ordering::SeqCst);
    }

    fn wants_to_write(&self) {
        drop(self.lock.write().unwrap());
        self.had.store(true, Ordering::SeqCst);
    }
}

/// A writer gets in among readers that overlap, so that one of them always holds the lock.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn a_writer_among_readers() {
    in_goroutine(|| {
        let wanted = Arc::new(Wanted::default());
        let readers: Vec<_> = (0..8)
            .map(|_| {
                go!(clone(wanted) {
                    wanted.until_had(|| {
                        let _guard = wanted.lock.read().unwrap();
                        yield_now();
                    });
                })
            })
            .collect();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let wanted = Arc::clone(&wanted);
                thread::spawn(move || wanted.read())
            })
            .collect();
        settle();
        go!(clone(wanted) { wanted.wants_to_write() })
            .join()
            .unwrap();
        readers.into_iter().for_each(|r| r.join().unwrap());
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
}

/// A reader gets in among writers on this worker, on others and on threads, one of which always
/// waits.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn a_reader_among_writers() {
    in_goroutine(|| {
        let wanted = Arc::new(Wanted::default());
        let writers: Vec<_> = (0..8)
            .map(|_| {
                go!(clone(wanted) {
                    wanted.until_had(|| {
                        let _guard = wanted.lock.write().unwrap();
                        yield_now();
                    });
                })
            })
            .collect();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let wanted = Arc::clone(&wanted);
                thread::spawn(move || wanted.write())
            })
            .collect();
        settle();
        go!(clone(wanted) { wanted.wants_to_read() })
            .join()
            .unwrap();
        writers.into_iter().for_each(|w| w.join().unwrap());
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
}

/// A goroutine locks in a loop. With one worker, the waiter cannot even run until that goroutine
/// waits for the lock.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn beside_a_hog() {
    in_goroutine(|| {
        let wanted = Arc::new(Wanted::default());
        let guard = wanted.lock.read().unwrap();
        let writer = go!(local; clone(wanted) { wanted.wants_to_write() });
        settle();
        drop(guard);
        wanted.read();
        writer.join().unwrap();

        let wanted = Arc::new(Wanted::default());
        let guard = wanted.lock.write().unwrap();
        let reader = go!(local; clone(wanted) { wanted.wants_to_read() });
        settle();
        drop(guard);
        wanted.write();
        reader.join().unwrap();

        let wanted = Arc::new(Wanted::default());
        let guard = wanted.lock.write().unwrap();
        let writer = go!(local; clone(wanted) { wanted.wants_to_write() });
        settle();
        drop(guard);
        wanted.write();
        writer.join().unwrap();
    });
}

#[test]
fn nobody_starves() {
    child::succeed_with_few_and_many(&[
        "fairness::a_writer_among_readers",
        "fairness::a_reader_among_writers",
        "fairness::beside_a_hog",
    ]);
}

/// A reader that comes after a waiting writer waits for it; the readers that have come meanwhile go
/// in before the next writer.
#[test]
fn readers_and_writers_take_turns() {
    in_goroutine(|| {
        let log = Arc::new(std::sync::Mutex::new(Vec::new()));
        let lock = Arc::new(RwLock::new(()));
        let guard = lock.read().unwrap();
        let mut all = Vec::new();
        for name in ["w1", "r1", "w2", "r2", "r3"] {
            all.push(go!(local; clone(lock, log) {
                if name.starts_with('w') {
                    let _guard = lock.write().unwrap();
                    log.lock().unwrap().push(name);
                } else {
                    let _guard = lock.read().unwrap();
                    log.lock().unwrap().push(name);
                }
            }));
            // Each goroutine has queued when the next one starts.
            settle();
        }
        assert!(log.lock().unwrap().is_empty());
        drop(guard);
        all.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(*log.lock().unwrap(), ["w1", "r1", "r2", "r3", "w2"]);
    });
}
