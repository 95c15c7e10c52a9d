//! `sync::Mutex`: one holder at a time, on goroutines and threads together; no waiter starves;
//! poisoning and the rest are as std's.

mod as_std;
mod fairness;

use std::cell::RefCell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use go_runtime::channel::bounded;
use go_runtime::sync::{Mutex, MutexGuard};
use go_runtime::{go, scope, select, yield_now};

use go_tests::support::{child, in_both, in_goroutine, settle};

/// A value that only the holder of the lock may see: its halves are equal whenever the lock is
/// free.
#[derive(Default)]
struct Halves {
    left: usize,
    right: usize,
}

impl Halves {
    fn add(&mut self, between: impl FnOnce()) {
        assert_eq!(self.left, self.right, "another holder is in");
        self.left += 1;
        between();
        self.right += 1;
        assert_eq!(self.left, self.right, "another holder was in");
    }
}

const GOROUTINES: usize = 1_000;
const THREADS: usize = 4;

#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn a_crowd() {
    let times = if cfg!(debug_assertions) { 5 } else { 200 };
    let halves = Arc::new(Mutex::new(Halves::default()));
    let turn = |halves: &Mutex<Halves>, i: usize| match i % 8 {
        // Others run while this goroutine holds the lock, and find it locked.
        0 => halves.lock().unwrap().add(yield_now),
        1 => {
            while halves.try_lock().map(|mut h| h.add(|| ())).is_err() {
                yield_now();
            }
        }
        _ => halves.lock().unwrap().add(|| ()),
    };
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let halves = Arc::clone(&halves);
            thread::spawn(move || (0..times * 10).for_each(|i| turn(&halves, i)))
        })
        .collect();
    let goroutines: Vec<_> = (0..GOROUTINES)
        .map(|g| go!(clone(halves) { (0..times).for_each(|i| turn(&halves, g + i)) }))
        .collect();
    goroutines.into_iter().for_each(|g| g.join().unwrap());
    threads.into_iter().for_each(|t| t.join().unwrap());
    let all = times * (GOROUTINES + THREADS * 10);
    assert_eq!(halves.lock().unwrap().left, all);
}

#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn a_million() {
    const EACH: usize = if cfg!(debug_assertions) {
        12_500
    } else {
        125_000
    };
    let count = Mutex::new(0);
    scope(|s| {
        for _ in 0..8 {
            s.spawn(|| (0..EACH).for_each(|_| *count.lock().unwrap() += 1));
        }
    });
    assert_eq!(count.into_inner().unwrap(), 8 * EACH);
}

#[test]
fn one_at_a_time() {
    child::succeed_with_few_and_many(&["a_crowd", "a_million"]);
}

/// The holder waits for a channel. The lock's waiters are parked meanwhile, and their workers run
/// other goroutines.
#[test]
fn a_holder_may_park() {
    in_goroutine(|| {
        let mutex = Arc::new(Mutex::new(0));
        let (tx, rx) = bounded(0);
        let holder = go!(local; clone(mutex) {
            let mut guard = mutex.lock().unwrap();
            *guard = rx.recv().unwrap();
        });
        settle();
        let waiting: Vec<_> = (0..100)
            .map(|_| go!(local; clone(mutex) { *mutex.lock().unwrap() += 1 }))
            .collect();
        settle();
        assert!(waiting.iter().all(|w| !w.is_finished()));
        assert!(mutex.try_lock().is_err());
        tx.send(1_000).unwrap();
        holder.join().unwrap();
        waiting.into_iter().for_each(|w| w.join().unwrap());
        assert_eq!(*mutex.lock().unwrap(), 1_100);
    });
}

/// A thread and goroutines wait for each other: the holder is parked or blocked, and so are the
/// waiters.
#[test]
fn threads_and_goroutines_wait_for_each_other() {
    in_both(|| {
        let mutex = Arc::new(Mutex::new(0));
        let guard = mutex.lock().unwrap();
        let goroutine = go!(clone(mutex) { *mutex.lock().unwrap() += 1 });
        let there = Arc::clone(&mutex);
        let (done, is_done) = bounded(0);
        let thread = thread::spawn(move || {
            *there.lock().unwrap() += 1;
            done.send(()).unwrap();
        });
        yield_now();
        drop(guard);
        goroutine.join().unwrap();
        is_done.recv().unwrap();
        thread.join().unwrap();
        assert_eq!(*mutex.lock().unwrap(), 2);
    });
}

/// Forgetting a guard leaves the mutex locked, and has no other effect.
#[test]
fn a_forgotten_guard_keeps_it_locked() {
    in_both(|| {
        let mutex = Mutex::new(String::from("a"));
        mem::forget(mutex.lock().unwrap());
        assert!(mutex.try_lock().is_err());
        assert_eq!(mutex.into_inner().unwrap(), "a");
    });
}

thread_local! {
    static LEFT: RefCell<Option<MutexGuard<'static, u32>>> = const { RefCell::new(None) };
}

/// A guard passes through a thread-local to another goroutine of the worker, which unlocks the
/// mutex for its waiters.
#[test]
fn another_goroutine_of_the_worker_drops_the_guard() {
    static MUTEX: Mutex<u32> = Mutex::new(0);
    in_goroutine(|| {
        go!(local; LEFT.set(Some(MUTEX.lock().unwrap())))
            .join()
            .unwrap();
        let waiting = go!(local; { *MUTEX.lock().unwrap() += 1 });
        settle();
        assert!(!waiting.is_finished());
        go!(local; drop(LEFT.take())).join().unwrap();
        waiting.join().unwrap();
        assert_eq!(*MUTEX.lock().unwrap(), 1);
    });
}

/// A goroutine that unwinds drops a guard that another goroutine has locked: that poisons the
/// mutex, as it does with std on one thread.
#[test]
fn a_guard_that_moved_poisons_where_it_is_dropped() {
    static MUTEX: Mutex<u32> = Mutex::new(0);
    in_goroutine(|| {
        let guard = MUTEX.lock().unwrap();
        let waiting = go!(local; MUTEX.lock().is_err());
        settle();
        let panics = go!(local; {
            let _guard = guard;
            panic!("on purpose");
        });
        assert!(panics.join().is_err());
        assert!(waiting.join().unwrap(), "it got the lock, and the poison");
        assert!(MUTEX.is_poisoned());
    });
}

/// Goroutines that unwind lock in a `Drop`: that does not poison, and unlocking wakes waiters on
/// this worker, on others and on threads.
#[test]
fn unwinding_goroutines_lock_and_unlock() {
    struct Locks<'a>(&'a Mutex<u32>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            assert!(thread::panicking());
            *self.0.lock().unwrap() += 1;
        }
    }
    in_both(|| {
        let mutex = Mutex::new(0);
        for _ in 0..100 {
            scope(|s| {
                s.spawn(|| *mutex.lock().unwrap() += 1);
                s.spawn(|| *mutex.lock().unwrap() += 1);
                let unwinds = catch_unwind(AssertUnwindSafe(|| {
                    let _locks = Locks(&mutex);
                    panic!("on purpose");
                }));
                assert!(unwinds.is_err());
            });
        }
        assert_eq!(mutex.into_inner().unwrap(), 300);
    });
}

/// A goroutine is parked with a guard, and another goroutine of its worker panics: that does not
/// poison the mutex.
#[test]
fn a_panic_next_door_poisons_nothing() {
    in_goroutine(|| {
        let mutex = Arc::new(Mutex::new(()));
        let (tx, rx) = bounded::<()>(0);
        let holder = go!(local; clone(mutex) {
            let _guard = mutex.lock().unwrap();
            let _ = rx.recv();
        });
        settle();
        let panics = go!(local; { let _last = tx; panic!("on purpose") });
        assert!(panics.join().is_err());
        holder.join().unwrap();
        assert!(!mutex.is_poisoned());
    });
}

/// A goroutine that only calls `try_lock`, on the holder's worker, does not keep the holder from
/// running.
#[test]
fn asking_in_vain_lets_the_holder_run() {
    in_goroutine(|| {
        let mutex = Arc::new(Mutex::new(()));
        let (tx, rx) = bounded(1);
        let holder = go!(local; clone(mutex) {
            let _guard = mutex.lock().unwrap();
            rx.recv().unwrap();
        });
        settle();
        tx.send(()).unwrap();
        while mutex.try_lock().is_err() {}
        holder.join().unwrap();
    });
}

/// A guard may be held over a `select!`, and a mutex may hold the ends of channels.
#[test]
fn ends_of_channels_in_a_mutex() {
    in_both(|| {
        let (tx, rx) = bounded(1);
        let shared = Mutex::new((tx, rx));
        let guard = shared.lock().unwrap();
        let ended = AtomicBool::new(false);
        guard.0.send(1).unwrap();
        select! {
            recv(guard.1) -> got => ended.store(got == Ok(1), Ordering::Relaxed),
        }
        assert!(ended.into_inner());
    });
}
