//! `sync::Condvar`: no notification is lost, and waiters are served first come, first served, on
//! goroutines and threads together; otherwise it behaves as std's.

use std::collections::VecDeque;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use go_runtime::channel::bounded;
use go_runtime::sync::{Condvar, Mutex, WaitTimeoutResult};
use go_runtime::{go, scope};

use go_tests::support::{child, in_both, in_goroutine, on_thread, settle};

type Pair<T> = Arc<(Mutex<T>, Condvar)>;

fn pair<T>(value: T) -> Pair<T> {
    Arc::new((Mutex::new(value), Condvar::new()))
}

/// A timeout whose end is too late for an `Instant`.
const FOR_EVER: Duration = Duration::MAX;

#[test]
fn smoke() {
    in_both(|| {
        let condvar = Condvar::new();
        condvar.notify_one();
        condvar.notify_all();
        assert_eq!(format!("{condvar:?}"), "Condvar { .. }");
        assert_eq!(format!("{:?}", Condvar::default()), "Condvar { .. }");
    });
}

/// A waiter is in the queue before others can lock the mutex.
#[test]
fn notify_one() {
    in_both(|| {
        let shared = pair(());
        let guard = shared.0.lock().unwrap();
        let notifies = go!(clone(shared) {
            let _guard = shared.0.lock().unwrap();
            shared.1.notify_one();
        });
        let guard = shared.1.wait(guard).unwrap();
        drop(guard);
        notifies.join().unwrap();

        let guard = shared.0.lock().unwrap();
        let there = Arc::clone(&shared);
        let notifies = thread::spawn(move || {
            drop(there.0.lock().unwrap());
            there.1.notify_one();
        });
        drop(shared.1.wait(guard).unwrap());
        notifies.join().unwrap();
    });
}

#[test]
fn notify_all() {
    const N: usize = 20;
    in_both(|| {
        let shared = pair(0);
        let (tx, rx) = bounded(N + 1);
        let waits = |shared: &(Mutex<usize>, Condvar), tx: &go_runtime::channel::Sender<()>| {
            let (lock, condvar) = shared;
            let mut count = lock.lock().unwrap();
            *count += 1;
            if *count == N {
                tx.send(()).unwrap();
            }
            while *count != 0 {
                count = condvar.wait(count).unwrap();
            }
            tx.send(()).unwrap();
        };
        for _ in 0..N / 2 {
            go!(clone(shared, tx) { waits(&shared, &tx) });
            let (shared, tx) = (Arc::clone(&shared), tx.clone());
            thread::spawn(move || waits(&shared, &tx));
        }
        rx.recv().unwrap();
        *shared.0.lock().unwrap() = 0;
        shared.1.notify_all();
        for _ in 0..N {
            rx.recv().unwrap();
        }
    });
}

#[test]
fn wait_while() {
    in_both(|| {
        let shared = pair(false);
        go!(clone(shared) {
            *shared.0.lock().unwrap() = true;
            shared.1.notify_one();
        });
        let guard = shared.0.lock().unwrap();
        let guard = shared.1.wait_while(guard, |started| !*started).unwrap();
        assert!(*guard);
    });
}

/// A wait without a notification ends with its timeout: there are no spurious wake-ups.
#[test]
fn a_time_that_is_over() {
    in_both(|| {
        let shared = pair(());
        for millis in [0, 1] {
            let wait = Duration::from_millis(millis);
            let guard = shared.0.lock().unwrap();
            let (guard, result) = shared.1.wait_timeout(guard, wait).unwrap();
            assert!(result.timed_out());
            let (_guard, result) = shared.1.wait_timeout_while(guard, wait, |_| true).unwrap();
            assert!(result.timed_out());
        }
        // Nothing is left in the queue.
        shared.1.notify_all();
    });
}

/// A condition that is false from the start does not time out, even with a timeout of zero.
#[test]
fn a_condition_that_does_not_hold() {
    in_both(|| {
        let shared = pair(());
        let guard = shared.0.lock().unwrap();
        let (_guard, result) = shared
            .1
            .wait_timeout_while(guard, Duration::ZERO, |_| false)
            .unwrap();
        assert!(!result.timed_out());
    });
}

#[test]
fn notified_in_time() {
    in_both(|| {
        for long in [Duration::from_secs(3_600), FOR_EVER] {
            let shared = pair(false);
            let guard = shared.0.lock().unwrap();
            let notifies = go!(clone(shared) {
                *shared.0.lock().unwrap() = true;
                shared.1.notify_one();
            });
            let (guard, result) = shared.1.wait_timeout(guard, long).unwrap();
            assert!(!result.timed_out());
            assert!(*guard);
            drop(guard);
            notifies.join().unwrap();

            let guard = shared.0.lock().unwrap();
            let there = Arc::clone(&shared);
            let notifies = thread::spawn(move || {
                *there.0.lock().unwrap() = false;
                there.1.notify_all();
            });
            let (guard, result) = shared.1.wait_timeout_while(guard, long, |it| *it).unwrap();
            assert!(!result.timed_out());
            assert!(!*guard);
            drop(guard);
            notifies.join().unwrap();
        }
    });
}

/// A waiter that was notified in time, but could not run before its deadline, reports the
/// notification.
#[test]
fn notified_before_the_time_was_over() {
    in_goroutine(|| {
        let shared = pair(());
        let wait = Duration::from_millis(200);
        loop {
            let waits = go!(local; clone(shared) {
                let guard = shared.0.lock().unwrap();
                let (_guard, result) = shared.1.wait_timeout(guard, wait).unwrap();
                result.timed_out()
            });
            settle();
            if waits.is_finished() {
                // The machine was slow: the wait had timed out before.
                assert!(waits.join().unwrap());
                continue;
            }
            shared.1.notify_one();
            // This sleep holds the waiter's worker, so the waiter cannot run before its deadline.
            thread::sleep(wait);
            assert!(!waits.join().unwrap());
            break;
        }
    });
}

#[test]
fn first_come_first_served() {
    in_goroutine(|| {
        let shared = pair(Vec::new());
        let waiting: Vec<_> = (0..100)
            .map(|i| {
                let waits = go!(local; clone(shared) {
                    let guard = shared.0.lock().unwrap();
                    shared.1.wait(guard).unwrap().push(i);
                });
                settle();
                waits
            })
            .collect();
        for i in 0..100 {
            shared.1.notify_one();
            settle();
            assert_eq!(shared.0.lock().unwrap().len(), i + 1, "one is woken");
        }
        waiting.into_iter().for_each(|w| w.join().unwrap());
        assert!(shared.0.lock().unwrap().is_sorted());
    });
}

/// A notification is for current waiters, and is not kept for later ones.
#[test]
fn nobody_is_notified_in_advance() {
    in_goroutine(|| {
        let shared = pair(());
        shared.1.notify_one();
        shared.1.notify_all();
        let waits = go!(local; clone(shared) {
            drop(shared.1.wait(shared.0.lock().unwrap()).unwrap());
        });
        settle();
        assert!(!waits.is_finished());
        shared.1.notify_one();
        waits.join().unwrap();
    });
}

/// During a wait others lock the mutex, and the worker runs other goroutines.
#[test]
fn who_waits_has_not_got_the_mutex() {
    in_goroutine(|| {
        let shared = pair(0);
        let waits = go!(local; clone(shared) {
            let guard = shared.0.lock().unwrap();
            *shared.1.wait_while(guard, |n| *n < 10).unwrap()
        });
        settle();
        for _ in 0..10 {
            *shared.0.try_lock().unwrap() += 1;
            shared.1.notify_all();
            settle();
        }
        assert_eq!(waits.join().unwrap(), 10);
    });
}

#[test]
fn one_condvar_for_two_mutexes() {
    in_goroutine(|| {
        let shared = Arc::new((Mutex::new(1), Mutex::new("a"), Condvar::new()));
        let one = go!(local; clone(shared) {
            *shared.2.wait(shared.0.lock().unwrap()).unwrap()
        });
        let other = go!(local; clone(shared) {
            *shared.2.wait(shared.1.lock().unwrap()).unwrap()
        });
        settle();
        shared.2.notify_all();
        assert_eq!((one.join().unwrap(), other.join().unwrap()), (1, "a"));
    });
}

fn poison(mutex: &Mutex<i32>) {
    scope(|s| {
        let panics = s.spawn(|| {
            let _guard = mutex.lock();
            panic!("on purpose, with the guard");
        });
        assert!(panics.join().is_err());
    });
}

/// A waiter gets the guard even if the mutex was poisoned meanwhile.
#[test]
fn a_mutex_that_is_poisoned_meanwhile() {
    in_both(|| {
        let shared = pair(1);
        let (tx, rx) = bounded(0);
        let waits = go!(clone(shared) {
            let guard = shared.0.lock().unwrap();
            tx.send(()).unwrap();
            **shared.1.wait(guard).unwrap_err().get_ref()
        });
        rx.recv().unwrap();
        poison(&shared.0);
        shared.1.notify_one();
        assert_eq!(waits.join().unwrap(), 1);

        let guard = shared.0.lock().unwrap_err().into_inner();
        let poison = shared.1.wait_timeout(guard, Duration::ZERO).unwrap_err();
        let (guard, result) = poison.into_inner();
        assert!(result.timed_out());
        let poison = shared
            .1
            .wait_timeout_while(guard, Duration::from_millis(1), |_| true)
            .unwrap_err();
        assert!(poison.get_ref().1.timed_out());
        drop(poison);
        // The call has not waited, so it does not report the poison.
        let guard = shared.0.lock().unwrap_err().into_inner();
        assert!(shared.1.wait_while(guard, |_| false).is_ok());
    });
}

/// The condition runs with the mutex locked, so a panic of the condition poisons the mutex.
#[test]
fn a_condition_that_panics() {
    in_both(|| {
        let shared = pair(0);
        let waits = go!(clone(shared) {
            let guard = shared.0.lock().unwrap();
            drop(shared.1.wait_while(guard, |n| {
                assert!(*n == 0, "on purpose");
                true
            }));
        });
        loop {
            // The waiter may not have started yet.
            let mut guard = shared.0.lock().unwrap_or_else(|poison| poison.into_inner());
            *guard = 1;
            drop(guard);
            shared.1.notify_one();
            if waits.is_finished() {
                break;
            }
            go_runtime::yield_now();
        }
        assert!(waits.join().is_err());
        assert!(shared.0.is_poisoned());
    });
}

/// A queue whose items come out exactly once.
struct Queue {
    items: Mutex<VecDeque<usize>>,
    not_empty: Condvar,
    not_full: Condvar,
}

const ROOM: usize = 4;

impl Queue {
    fn put(&self, item: usize) {
        let items = self.items.lock().unwrap();
        let mut items = self
            .not_full
            .wait_while(items, |q| q.len() == ROOM)
            .unwrap();
        items.push_back(item);
        self.not_empty.notify_one();
    }

    fn take(&self, i: usize) -> usize {
        let mut items = self.items.lock().unwrap();
        if i.is_multiple_of(2) {
            items = self.not_empty.wait_while(items, |q| q.is_empty()).unwrap();
        } else {
            // Some of these waits time out again and again.
            while items.is_empty() {
                let wait = Duration::from_micros(i as u64 % 100);
                items = self.not_empty.wait_timeout(items, wait).unwrap().0;
            }
        }
        let item = items.pop_front().unwrap();
        drop(items);
        self.not_full.notify_one();
        item
    }
}

/// Each notification is for one waiter, so a lost notification would leave a waiter behind.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn a_bounded_queue() {
    const EACH: usize = if cfg!(debug_assertions) { 500 } else { 5_000 };
    let queue = Queue {
        items: Mutex::new(VecDeque::new()),
        not_empty: Condvar::new(),
        not_full: Condvar::new(),
    };
    let take = || (0..EACH).map(|i| queue.take(i)).sum::<usize>();
    let put = || (0..EACH).for_each(|i| queue.put(i));
    let sum = scope(|s| {
        let takers: Vec<_> = (0..8).map(|_| s.spawn(take)).collect();
        (0..8).for_each(|_| drop(s.spawn(put)));
        let there: usize = thread::scope(|t| {
            let takers: Vec<_> = (0..2).map(|_| t.spawn(take)).collect();
            (0..2).for_each(|_| drop(t.spawn(put)));
            takers.into_iter().map(|t| t.join().unwrap()).sum()
        });
        there + takers.into_iter().map(|t| t.join().unwrap()).sum::<usize>()
    });
    assert_eq!(sum, 10 * EACH * (EACH - 1) / 2);
    assert!(queue.items.into_inner().unwrap().is_empty());
}

#[test]
fn nobody_waits_for_ever() {
    child::succeed_with_few_and_many(&["a_bounded_queue"]);
}

#[test]
fn in_statics() {
    static TURN: Mutex<usize> = Mutex::new(0);
    static CHANGED: Condvar = Condvar::new();
    on_thread(|| {
        let turns: Vec<_> = (0..100)
            .rev()
            .map(|i| {
                go!({
                    let turn = TURN.lock().unwrap();
                    *CHANGED.wait_while(turn, |turn| *turn != i).unwrap() += 1;
                    CHANGED.notify_all();
                })
            })
            .collect();
        turns.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(*TURN.lock().unwrap(), 100);
    });
}

/// The auto traits are std's.
#[test]
fn traits() {
    fn is<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    fn is_value<T: Copy + Eq + std::fmt::Debug + Send + Sync>() {}
    is::<Condvar>();
    is_value::<WaitTimeoutResult>();
}
