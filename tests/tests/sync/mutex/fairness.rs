//! No waiter waits for ever, whatever else locks in a loop.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::sync::Mutex;
use go_runtime::time::sleep;
use go_runtime::{JoinHandle, go, yield_now};

use go_tests::support::{NET, child, in_goroutine, settle};

/// A lock, and whether the waiter for it has got it.
#[derive(Default)]
struct Wanted {
    lock: Mutex<()>,
    had: AtomicBool,
    queued: AtomicBool,
}

impl Wanted {
    fn want(&self) {
        self.queued.store(true, Ordering::SeqCst);
        drop(self.lock.lock().unwrap());
        self.had.store(true, Ordering::SeqCst);
    }

    fn is_had(&self) -> bool {
        self.had.load(Ordering::SeqCst)
    }

    /// Locks and unlocks until the waiter has had the lock, without ever waiting for anything else
    /// or yielding.
    fn hog(&self) {
        let end = Instant::now() + NET;
        while !self.had.load(Ordering::SeqCst) {
            assert!(Instant::now() < end, "the other one starves");
            drop(self.lock.lock().unwrap());
        }
    }
}

/// A goroutine locks in a loop. With one worker, the waiter cannot even run until that goroutine
/// waits for the lock.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn beside_a_hog() {
    in_goroutine(|| {
        let wanted = Arc::new(Wanted::default());
        let guard = wanted.lock.lock().unwrap();
        let wants = go!(clone(wanted) { wanted.want() });
        while !wanted.queued.load(Ordering::SeqCst) {
            yield_now();
        }
        yield_now();
        drop(guard);
        wanted.hog();
        wants.join().unwrap();
    });
}

/// Many waiters get the lock beside a goroutine that locks in a loop. (Once in thirty rounds, one
/// waiter used to be forgotten: two waiters had been woken, and were counted as one.)
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn many_beside_a_hog() {
    const MANY: usize = 20;
    const ROUNDS: usize = 100;
    (0..ROUNDS).for_each(|_| crowd_beside_a_hog(MANY));
}

fn crowd_beside_a_hog(many: usize) {
    in_goroutine(move || {
        let shared = Arc::new((Mutex::new(()), AtomicUsize::new(0)));
        let guard = shared.0.lock().unwrap();
        let want: Vec<_> = (0..many)
            .map(|_| {
                go!(clone(shared) {
                    let _guard = shared.0.lock().unwrap();
                    shared.1.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        for _ in 0..10 * many {
            yield_now();
        }
        drop(guard);
        let end = Instant::now() + NET;
        while shared.1.load(Ordering::SeqCst) < many {
            assert!(Instant::now() < end, "some starve");
            drop(shared.0.lock().unwrap());
        }
        want.into_iter().for_each(|w| w.join().unwrap());
    });
}

/// A waiter arrives while a woken waiter is late: it lets the late one run first, and is not
/// forgotten meanwhile. (The new waiter was once not counted, and so a goroutine that locks in a
/// loop did not let it run. The order of the two waiters changes from round to round, so there are
/// several rounds.)
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn behind_one_who_is_late() {
    const ROUNDS: usize = 20;
    in_goroutine(|| {
        for _ in 0..ROUNDS {
            let wanted = Arc::new(Wanted::default());
            let guard = wanted.lock.lock().unwrap();
            let late = go!(local; clone(wanted) { drop(wanted.lock.lock().unwrap()) });
            settle();
            drop(guard);
            // The waiter was woken by the unlock, and cannot run.
            let guard = wanted.lock.lock().unwrap();
            let since = Instant::now();
            while since.elapsed() < Duration::from_millis(2) {}
            drop(guard);
            let comes = go!(local; clone(wanted) { wanted.want() });
            yield_now();
            wanted.hog();
            late.join().unwrap();
            comes.join().unwrap();
        }
    });
}

/// A waiter gets the lock beside threads that lock in a loop and never park.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn beside_hogs_on_threads() {
    let wanted = Arc::new(Wanted::default());
    let hogs: Vec<_> = (0..2)
        .map(|_| {
            let wanted = Arc::clone(&wanted);
            thread::spawn(move || wanted.hog())
        })
        .collect();
    go!(clone(wanted) { wanted.want() }).join().unwrap();
    hogs.into_iter().for_each(|hog| hog.join().unwrap());
}

/// A thread gets the lock among goroutines that hold it nearly all the time, and wait while they
/// do.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn a_thread_among_goroutines() {
    let wanted = Arc::new(Wanted::default());
    let hogs: Vec<_> = (0..4)
        .map(|_| {
            go!(clone(wanted) {
                while !wanted.had.load(Ordering::SeqCst) {
                    let _guard = wanted.lock.lock().unwrap();
                    yield_now();
                }
            })
        })
        .collect();
    let there = Arc::clone(&wanted);
    thread::spawn(move || there.want()).join().unwrap();
    hogs.into_iter().for_each(|hog| hog.join().unwrap());
}

/// The first waiter cannot run when it is woken, because a goroutine that computes holds its
/// worker. Meanwhile both the lock's last holder and the waiters behind can get the lock.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn behind_one_who_cannot_run() {
    let (first, second) = (Arc::<Wanted>::default(), Arc::new(AtomicBool::new(false)));
    let guard = first.lock.lock().unwrap();
    let computes = go!(clone(first, second) {
        let wants = go!(local; clone(first) { first.want() });
        settle();
        let (end, is_held) = (Instant::now() + NET, &first.queued);
        assert!(is_held.load(Ordering::SeqCst));
        while !second.load(Ordering::SeqCst) {
            assert!(Instant::now() < end, "who is behind it starves");
        }
        wants.join().unwrap();
    });
    while !first.queued.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    let (lock, had) = (Arc::clone(&first), Arc::clone(&second));
    let behind = thread::spawn(move || {
        drop(lock.lock.lock().unwrap());
        had.store(true, Ordering::SeqCst);
    });
    // Gives the other waiter time to queue. If that takes longer, the test is only easier to pass.
    thread::sleep(Duration::from_millis(20));
    drop(guard);
    while !second.load(Ordering::SeqCst) {
        drop(first.lock.lock().unwrap());
    }
    behind.join().unwrap();
    computes.join().unwrap();
}

#[test]
fn nobody_starves() {
    child::succeed_with_few_and_many(&[
        "fairness::beside_a_hog",
        "fairness::many_beside_a_hog",
        "fairness::behind_one_who_is_late",
        "fairness::beside_hogs_on_threads",
        "fairness::a_thread_among_goroutines",
        "fairness::behind_one_who_cannot_run",
    ]);
}

/// Waiters get the lock in the order of their coming, if no other goroutine locks meanwhile.
#[test]
fn first_come_first_served() {
    in_goroutine(|| {
        let order = Arc::new(Mutex::new(Vec::new()));
        let guard = order.lock().unwrap();
        let come = Arc::new(AtomicUsize::new(0));
        let waiting: Vec<_> = (0..100)
            .map(|i| {
                go!(local; clone(order, come) {
                    come.fetch_add(1, Ordering::SeqCst);
                    order.lock().unwrap().push(i);
                })
            })
            .collect();
        // All these goroutines run on this worker, so each one is in the queue once it has counted
        // itself.
        while come.load(Ordering::SeqCst) < 100 {
            yield_now();
        }
        drop(guard);
        waiting.into_iter().for_each(|w| w.join().unwrap());
        let order = order.lock().unwrap();
        assert!(order.is_sorted(), "{order:?}");
        assert_eq!(order.len(), 100);
    });
}

/// Calls `then` while the lock is reserved for a waiter on this worker. The waiter has waited for
/// long and has been woken, but does not run yet.
fn with_the_lock_kept_for_another(then: impl FnOnce(&Wanted) + Send + 'static) {
    in_goroutine(|| {
        let (wanted, wants) = loop {
            if let Some(kept) = keep_the_lock_for_another() {
                break kept;
            }
        };
        then(&wanted);
        wants.join().unwrap();
    });
}

/// Returns `None` if the machine was so slow that the waiter starved, and got the lock, too early.
fn keep_the_lock_for_another() -> Option<(Arc<Wanted>, JoinHandle<()>)> {
    let wanted = Arc::new(Wanted::default());
    let guard = wanted.lock.lock().unwrap();
    let wants = go!(local; clone(wanted) { wanted.want() });
    settle();
    assert!(wanted.queued.load(Ordering::SeqCst));

    drop(guard);
    let guard = wanted.lock.lock().unwrap();
    assert!(!wanted.is_had(), "the lock was free for all");
    // The waiter runs and finds the mutex locked.
    settle();
    sleep(Duration::from_millis(2));

    drop(guard);
    let guard = wanted.lock.lock().unwrap();
    if wanted.is_had() {
        return None;
    }
    // The waiter finds the mutex locked again, and has now waited for long.
    settle();

    drop(guard);
    assert!(!wanted.is_had(), "it has not run yet");
    Some((wanted, wants))
}

/// The last holder may lock again before a woken waiter does, until the waiter has waited for a
/// millisecond. Then the lock is handed over to the waiter, and neither `try_lock` nor `lock` gets
/// in before it.
#[test]
fn who_has_waited_for_long_is_handed_the_lock() {
    with_the_lock_kept_for_another(|wanted| {
        assert!(wanted.lock.try_lock().is_err());
        assert!(!wanted.is_had(), "trying does not wait");
        drop(wanted.lock.lock().unwrap());
        assert!(wanted.is_had(), "handed over");
    });
}

/// A goroutine that unwinds takes the lock that is reserved for a waiter on its worker, because the
/// waiter cannot run before.
#[test]
fn who_unwinds_takes_the_lock_that_is_kept() {
    struct Locks<'a>(&'a Wanted);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            drop(self.0.lock.lock().unwrap());
            assert!(!self.0.is_had());
        }
    }
    with_the_lock_kept_for_another(|wanted| {
        let unwinds = catch_unwind(AssertUnwindSafe(|| {
            let _locks = Locks(wanted);
            panic!("on purpose");
        }));
        assert!(unwinds.is_err());
    });
}
