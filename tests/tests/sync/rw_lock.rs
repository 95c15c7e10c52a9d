//! `sync::RwLock`: many readers or one writer, on goroutines and threads together; neither side
//! starves; poisoning and the rest are as std's.

mod as_std;
mod fairness;

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use go_runtime::channel::bounded;
use go_runtime::sync::{Barrier, RwLock, RwLockWriteGuard};
use go_runtime::{go, scope, without_parking, yield_now};

use go_tests::support::{child, in_both, in_goroutine, settle};

/// Halves that are equal whenever no writer holds the lock.
#[derive(Default)]
struct Halves {
    left: usize,
    right: usize,
}

impl Halves {
    fn add(&mut self, between: impl FnOnce()) {
        self.check(|| ());
        self.left += 1;
        between();
        self.right += 1;
        self.check(|| ());
    }

    fn check(&self, between: impl FnOnce()) {
        let before = self.left;
        assert_eq!(before, self.right, "a writer writes meanwhile");
        between();
        assert_eq!(
            (before, before),
            (self.left, self.right),
            "a writer wrote meanwhile"
        );
    }
}

const GOROUTINES: usize = 1_000;
const THREADS: usize = 4;

/// Locks once: for writing in one of four calls, else for reading. Returns how often it wrote.
fn turn(halves: &RwLock<Halves>, i: usize) -> usize {
    match i % 16 {
        // Others run while this goroutine holds the lock, and find it locked.
        0 => halves.write().unwrap().add(yield_now),
        1 => halves.read().unwrap().check(yield_now),
        2 => {
            while halves.try_write().map(|mut h| h.add(|| ())).is_err() {
                yield_now();
            }
        }
        3 => {
            while halves.try_read().map(|h| h.check(|| ())).is_err() {
                yield_now();
            }
        }
        4 => {
            let mut guard = halves.write().unwrap();
            guard.add(|| ());
            RwLockWriteGuard::downgrade(guard).check(yield_now);
        }
        5 => halves.write().unwrap().add(|| ()),
        _ => halves.read().unwrap().check(|| ()),
    }
    usize::from(matches!(i % 16, 0 | 2 | 4 | 5))
}

#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn a_crowd() {
    let times = if cfg!(debug_assertions) { 4 } else { 160 };
    let halves = Arc::new(RwLock::new(Halves::default()));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let halves = Arc::clone(&halves);
            thread::spawn(move || (0..times * 10).map(|i| turn(&halves, i)).sum::<usize>())
        })
        .collect();
    let goroutines: Vec<_> = (0..GOROUTINES)
        .map(|g| go!(clone(halves) { (0..times).map(|i| turn(&halves, g + i)).sum::<usize>() }))
        .collect();
    let mut all = 0;
    goroutines
        .into_iter()
        .for_each(|g| all += g.join().unwrap());
    threads.into_iter().for_each(|t| all += t.join().unwrap());
    let halves = halves.read().unwrap();
    halves.check(|| ());
    assert_eq!(halves.left, all);
}

#[test]
fn many_read_or_one_writes() {
    child::succeed_with_few_and_many(&["a_crowd"]);
}

/// All readers have their guards before any drops its own.
#[test]
fn readers_are_in_together() {
    in_both(|| {
        let (lock, all) = (RwLock::new(1), Barrier::new(21));
        let reads = || {
            let guard = lock.read().unwrap();
            all.wait();
            *guard
        };
        scope(|s| {
            let goroutines: Vec<_> = (0..10).map(|_| s.spawn(reads)).collect();
            let sum = thread::scope(|t| {
                let threads: Vec<_> = (0..10).map(|_| t.spawn(reads)).collect();
                let here = reads();
                let there = threads.into_iter().map(|t| t.join().unwrap());
                here + there.sum::<i32>()
            });
            let rest: i32 = goroutines.into_iter().map(|g| g.join().unwrap()).sum();
            assert_eq!(sum + rest, 21);
        });
    });
}

/// The writer waits for a channel. The lock's waiters are parked meanwhile, and their worker runs
/// other goroutines.
#[test]
fn a_writer_may_park() {
    in_goroutine(|| {
        let lock = Arc::new(RwLock::new(0));
        let (tx, rx) = bounded(0);
        let writer = go!(local; clone(lock) {
            let mut guard = lock.write().unwrap();
            *guard = rx.recv().unwrap();
        });
        settle();
        let waiting: Vec<_> = (0..100)
            .map(|i| {
                go!(local; clone(lock) {
                    if i % 2 == 0 {
                        *lock.write().unwrap() += 1;
                    } else {
                        assert!(*lock.read().unwrap() >= 1_000);
                    }
                })
            })
            .collect();
        settle();
        assert!(waiting.iter().all(|w| !w.is_finished()));
        assert!(lock.try_read().is_err());
        assert!(lock.try_write().is_err());
        tx.send(1_000).unwrap();
        writer.join().unwrap();
        waiting.into_iter().for_each(|w| w.join().unwrap());
        assert_eq!(*lock.read().unwrap(), 1_050);
    });
}

/// Readers wait for a channel. The writer is parked until the last of them has unlocked.
#[test]
fn readers_may_park() {
    in_goroutine(|| {
        let lock = Arc::new(RwLock::new(0));
        let (tx, rx) = bounded::<()>(0);
        let readers: Vec<_> = (0..10)
            .map(|_| {
                go!(local; clone(lock, rx) {
                    let guard = lock.read().unwrap();
                    rx.recv().unwrap();
                    assert_eq!(*guard, 0);
                })
            })
            .collect();
        settle();
        let writer = go!(local; clone(lock) { *lock.write().unwrap() = 1 });
        settle();
        for _ in 0..10 {
            assert!(!writer.is_finished());
            tx.send(()).unwrap();
            settle();
        }
        assert!(writer.is_finished());
        readers.into_iter().for_each(|r| r.join().unwrap());
        assert_eq!(*lock.read().unwrap(), 1);
    });
}

/// A thread and goroutines wait for each other: the holder is parked or blocked, and so are the
/// waiters.
#[test]
fn threads_and_goroutines_wait_for_each_other() {
    in_both(|| {
        let lock = Arc::new(RwLock::new(0));
        let guard = lock.write().unwrap();
        let writes = go!(clone(lock) { *lock.write().unwrap() += 1 });
        let reads = go!(clone(lock) { drop(lock.read().unwrap()) });
        let there = Arc::clone(&lock);
        let (done, is_done) = bounded(1);
        let thread = thread::spawn(move || {
            drop(there.read().unwrap());
            *there.write().unwrap() += 1;
            done.send(()).unwrap();
        });
        yield_now();
        drop(guard);
        writes.join().unwrap();
        reads.join().unwrap();
        is_done.recv().unwrap();
        thread.join().unwrap();
        assert_eq!(*lock.read().unwrap(), 2);
    });
}

/// Forgetting a guard leaves the lock locked, and has no other effect.
#[test]
fn a_forgotten_guard_keeps_it_locked() {
    in_both(|| {
        let lock = RwLock::new(String::from("a"));
        mem::forget(lock.read().unwrap());
        assert!(lock.try_write().is_err());
        assert_eq!(*lock.try_read().unwrap(), "a");
        assert_eq!(lock.into_inner().unwrap(), "a");

        let lock = RwLock::new(String::from("b"));
        mem::forget(lock.write().unwrap());
        assert!(lock.try_read().is_err());
        assert_eq!(lock.into_inner().unwrap(), "b");
    });
}

/// Goroutines that unwind lock in a `Drop`: that does not poison, and unlocking lets in waiters on
/// this worker, on others and on threads.
#[test]
fn unwinding_goroutines_lock_and_unlock() {
    struct Locks<'a>(&'a RwLock<u32>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            assert!(thread::panicking());
            drop(self.0.read().unwrap());
            *self.0.write().unwrap() += 1;
        }
    }
    in_both(|| {
        let lock = RwLock::new(0);
        for _ in 0..100 {
            scope(|s| {
                s.spawn(|| *lock.write().unwrap() += 1);
                s.spawn(|| drop(lock.read().unwrap()));
                let unwinds = catch_unwind(AssertUnwindSafe(|| {
                    let _locks = Locks(&lock);
                    panic!("on purpose");
                }));
                assert!(unwinds.is_err());
            });
        }
        assert_eq!(lock.into_inner().unwrap(), 200);
    });
}

/// A writer of this worker waits for a reader, or has just been told that the reader has gone, and
/// cannot run. A goroutine that unwinds reads before this writer, which then waits for that
/// goroutine too.
#[test]
fn who_unwinds_reads_before_a_writer_of_its_worker() {
    struct Reads<'a>(&'a RwLock<u32>, u32);
    impl Drop for Reads<'_> {
        fn drop(&mut self) {
            assert_eq!(*self.0.read().unwrap(), self.1);
        }
    }
    fn unwind(reads: Reads<'_>) {
        let unwinds = catch_unwind(AssertUnwindSafe(|| {
            let _reads = reads;
            panic!("on purpose");
        }));
        assert!(unwinds.is_err());
    }
    in_goroutine(|| {
        let lock = Arc::new(RwLock::new(0));
        let guard = lock.read().unwrap();
        let writer = go!(local; clone(lock) { *lock.write().unwrap() += 1 });
        settle();
        assert!(lock.try_read().is_err(), "a writer waits");
        unwind(Reads(&lock, 0));
        drop(guard);
        // A `try_read` in vain would let the writer run if this goroutine has run for a slice.
        without_parking(|| assert!(lock.try_read().is_err(), "it has not run yet"));
        unwind(Reads(&lock, 0));
        writer.join().unwrap();
        unwind(Reads(&lock, 1));
        assert!(lock.try_write().is_ok());
    });
}

/// A goroutine that unwinds waits for a writer on another worker or a thread, which unlocks by
/// itself.
#[test]
fn who_unwinds_waits_for_a_writer_elsewhere() {
    struct Reads<'a>(&'a RwLock<u32>);
    impl Drop for Reads<'_> {
        fn drop(&mut self) {
            assert_eq!(*self.0.read().unwrap(), 1);
        }
    }
    in_goroutine(|| {
        let lock = Arc::new(RwLock::new(0));
        let (there, waits) = (Arc::clone(&lock), Arc::new(AtomicBool::new(false)));
        let (held, is_held) = bounded(0);
        let goes_on = Arc::clone(&waits);
        let writer = thread::spawn(move || {
            let mut guard = there.write().unwrap();
            held.send(()).unwrap();
            while !goes_on.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            *guard = 1;
        });
        is_held.recv().unwrap();
        let unwinds = go!(clone(lock, waits) {
            let _reads = Reads(&lock);
            waits.store(true, Ordering::SeqCst);
            panic!("on purpose");
        });
        assert!(unwinds.join().is_err());
        writer.join().unwrap();
        assert_eq!(*lock.read().unwrap(), 1);
    });
}

/// A goroutine is parked with a writer's guard, and another goroutine of its worker panics: that
/// does not poison the lock.
#[test]
fn a_panic_next_door_poisons_nothing() {
    in_goroutine(|| {
        let lock = Arc::new(RwLock::new(()));
        let (tx, rx) = bounded::<()>(0);
        let holder = go!(local; clone(lock) {
            let _guard = lock.write().unwrap();
            let _ = rx.recv();
        });
        settle();
        let panics = go!(local; { let _last = tx; panic!("on purpose") });
        assert!(panics.join().is_err());
        holder.join().unwrap();
        assert!(!lock.is_poisoned());
    });
}

/// A goroutine that only tries to lock, on the holder's worker, does not keep the holder from
/// running.
#[test]
fn asking_in_vain_lets_the_holder_run() {
    in_goroutine(|| {
        let lock = Arc::new(RwLock::new(()));
        for round in 0..2 {
            let (tx, rx) = bounded(1);
            let holder = go!(local; clone(lock) {
                let _guard = lock.write().unwrap();
                rx.recv().unwrap();
            });
            settle();
            tx.send(()).unwrap();
            if round == 0 {
                while lock.try_read().is_err() {}
            } else {
                while lock.try_write().is_err() {}
            }
            holder.join().unwrap();
        }
    });
}

/// The first caller writes, and the others read what the first caller wrote; then the lock may be
/// dropped.
#[test]
fn a_cache_in_a_static() {
    static CACHE: RwLock<Vec<usize>> = RwLock::new(Vec::new());
    static MADE: AtomicUsize = AtomicUsize::new(0);
    fn get(i: usize) -> usize {
        if let Some(found) = CACHE.read().unwrap().get(i) {
            return *found;
        }
        let mut cache = CACHE.write().unwrap();
        while cache.len() <= i {
            MADE.fetch_add(1, Ordering::Relaxed);
            let next = cache.len() * 2;
            cache.push(next);
        }
        RwLockWriteGuard::downgrade(cache)[i]
    }
    in_both(|| {
        scope(|s| {
            for i in 0..100 {
                s.spawn(move || assert_eq!(get(i), 2 * i));
            }
        });
        assert_eq!(MADE.load(Ordering::Relaxed), 100);
    });
}
