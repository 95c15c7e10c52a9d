//! `sync::Once`, `OnceLock` and `LazyLock`: the value is made once, by a closure that may park,
//! while other callers are parked; poisoning and the rest are as std's.

mod cells;

use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use go_runtime::channel::bounded;
use go_runtime::sync::{Once, OnceState};
use go_runtime::time::sleep;
use go_runtime::{go, scope, yield_now};

use go_tests::support::{child, in_both, in_goroutine, settle};

/// Returns the message of `f`'s panic.
fn message(f: impl FnOnce()) -> String {
    let said = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    match said.downcast::<String>() {
        Ok(text) => *text,
        Err(said) => String::from(*said.downcast::<&str>().unwrap()),
    }
}

fn poisoned() -> Once {
    let once = Once::new();
    assert_eq!(message(|| once.call_once(|| panic!("first"))), "first");
    once
}

#[test]
fn smoke() {
    in_both(|| {
        let once = Once::new();
        let mut count = 0;
        assert!(!once.is_completed());
        once.call_once(|| count += 1);
        assert!(once.is_completed());
        once.call_once(|| count += 1);
        once.call_once_force(|_| count += 1);
        once.wait();
        once.wait_force();
        assert_eq!(count, 1);
    });
}

#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn a_stampede() {
    for round in 0..100 {
        let (once, made) = (Once::new(), AtomicUsize::new(0));
        let calls = || {
            once.call_once(|| {
                made.fetch_add(1, Ordering::Relaxed);
                match round % 3 {
                    0 => {}
                    1 => (0..10).for_each(|_| yield_now()),
                    _ => sleep(Duration::from_micros(100)),
                }
                made.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(made.load(Ordering::Relaxed), 2);
        };
        let waits = || {
            once.wait();
            assert_eq!(made.load(Ordering::Relaxed), 2);
        };
        scope(|s| {
            for i in 0..50 {
                if i % 2 == 0 {
                    s.spawn(calls);
                } else {
                    s.spawn(waits);
                }
            }
            thread::scope(|t| {
                t.spawn(waits);
                t.spawn(calls);
            });
        });
    }
}

/// Each closure may panic; in the end exactly one has succeeded.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn a_stampede_of_those_who_fail() {
    struct Quiet;
    for _ in 0..100 {
        let (once, inside, made) = (Once::new(), AtomicBool::new(false), AtomicUsize::new(0));
        let tries = |i: usize| {
            // `resume_unwind` skips the panic hook, which would print a message each time.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                once.call_once_force(|_| {
                    assert!(!inside.swap(true, Ordering::Relaxed), "two at once");
                    yield_now();
                    inside.store(false, Ordering::Relaxed);
                    if !i.is_multiple_of(4) {
                        std::panic::resume_unwind(Box::new(Quiet));
                    }
                    made.fetch_add(1, Ordering::Relaxed);
                });
                assert_eq!(made.load(Ordering::Relaxed), 1);
            }));
        };
        scope(|s| {
            for i in 0..50 {
                s.spawn(move || tries(i));
            }
            thread::scope(|t| {
                t.spawn(|| tries(1));
                t.spawn(|| once.wait_force());
            });
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn one_of_many_runs() {
    for workers in ["1", "2", "4"] {
        for test in [
            "a_stampede",
            "a_stampede_of_those_who_fail",
            "cells::a_stampede",
        ] {
            child::succeed(test, &[("GOMAXPROCS", workers)]);
        }
    }
}

/// The running closure waits for a channel; other callers are parked, and their worker runs other
/// goroutines.
#[test]
fn who_is_at_it_may_park() {
    in_goroutine(|| {
        let once = Arc::new(Once::new());
        let (tx, rx) = bounded(0);
        let first = go!(local; clone(once) { once.call_once(|| rx.recv().unwrap()) });
        settle();
        let others: Vec<_> = (0..100)
            .map(|i| {
                go!(local; clone(once) {
                    match i % 3 {
                        0 => once.call_once(|| unreachable!()),
                        1 => once.wait(),
                        _ => once.call_once_force(|_| unreachable!()),
                    }
                    assert!(once.is_completed());
                })
            })
            .collect();
        settle();
        assert!(!once.is_completed());
        assert!(others.iter().all(|o| !o.is_finished()));
        tx.send(()).unwrap();
        first.join().unwrap();
        others.into_iter().for_each(|o| o.join().unwrap());
    });
}

#[test]
fn poisoning() {
    in_both(|| {
        let once = poisoned();
        let said = message(|| once.call_once(|| unreachable!()));
        assert!(said.contains("previously been poisoned"), "{said}");
        assert_eq!(message(|| once.wait()), said);
        assert!(!once.is_completed());

        // The `Once` stays poisoned if the next closure panics too.
        assert_eq!(
            message(|| once.call_once_force(|_| panic!("second"))),
            "second"
        );
        let mut called = false;
        once.call_once_force(|state| {
            called = true;
            assert!(state.is_poisoned());
            assert_eq!(format!("{state:?}"), "OnceState { poisoned: true }");
        });
        assert!(called);
        once.call_once(|| unreachable!());
        once.wait();

        Once::new().call_once_force(|state| assert!(!state.is_poisoned()));
    });
}

/// Callers that wait while a run after a panic is under way learn of its success.
#[test]
fn wait_for_force_to_finish() {
    in_both(|| {
        let once = Arc::new(poisoned());
        let ((held, is_held), (go_on, may_go_on)) = (bounded(0), bounded(0));
        let forces = go!(clone(once) {
            once.call_once_force(|state| {
                assert!(state.is_poisoned());
                held.send(()).unwrap();
                may_go_on.recv().unwrap();
            });
        });
        is_held.recv().unwrap();
        let calls = go!(clone(once) { once.call_once(|| unreachable!()) });
        let there = Arc::clone(&once);
        let waits = thread::spawn(move || there.wait());
        yield_now();
        go_on.send(()).unwrap();
        forces.join().unwrap();
        calls.join().unwrap();
        waits.join().unwrap();
    });
}

/// Waiters learn of the panic, except those that ignore poisoning.
#[test]
fn who_waits_learns_of_the_panic() {
    in_goroutine(|| {
        let once = Arc::new(Once::new());
        let (tx, rx) = bounded::<()>(0);
        let panics = go!(local; clone(once) {
            once.call_once(|| {
                let _ = rx.recv();
                panic!("on purpose");
            });
        });
        settle();
        let minds: Vec<_> = (0..10)
            .map(|i| {
                go!(local; clone(once) {
                    message(|| if i % 2 == 0 { once.wait() } else { once.call_once(|| ()) })
                })
            })
            .collect();
        let waits = go!(local; clone(once) { once.wait_force() });
        settle();
        drop(tx);
        assert!(panics.join().is_err());
        for minds in minds {
            assert!(minds.join().unwrap().contains("previously been poisoned"));
        }
        settle();
        assert!(!waits.is_finished());
        once.call_once_force(|_| ());
        waits.join().unwrap();
    });
}

/// A closure that uses its own `Once` panics instead of waiting for itself for ever.
#[test]
fn who_would_wait_for_itself_panics() {
    in_both(|| {
        let once = Once::new();
        for again in [
            (|once| once.call_once(|| ())) as fn(&Once),
            |once| once.call_once_force(|_| ()),
            Once::wait,
            Once::wait_force,
        ] {
            let said = message(|| {
                once.call_once_force(|_| {
                    // Another `Once` may be used.
                    Once::new().call_once(|| ());
                    again(&once);
                });
            });
            assert!(said.contains("waits for itself"), "{said}");
            assert!(!once.is_completed());
        }
        once.call_once_force(|_| ());
        once.call_once(|| unreachable!());
    });
}

/// A goroutine is not the same as its thread: other goroutines on the thread wait, and do not
/// panic.
#[test]
fn another_goroutine_of_the_worker_waits() {
    in_goroutine(|| {
        let once = Arc::new(Once::new());
        let there = Arc::clone(&once);
        once.call_once(|| {
            let other = go!(local; there.call_once(|| unreachable!()));
            settle();
            assert!(!other.is_finished());
        });
    });
}

/// Goroutines that unwind may call a `Once`, first or later; that does not poison.
#[test]
fn unwinding_goroutines_call() {
    struct Calls<'a>(&'a Once);
    impl Drop for Calls<'_> {
        fn drop(&mut self) {
            assert!(thread::panicking());
            self.0.call_once(yield_now);
            self.0.wait();
        }
    }
    in_both(|| {
        for _ in 0..20 {
            let once = Once::new();
            scope(|s| {
                s.spawn(|| once.call_once(|| ()));
                let unwinds = catch_unwind(AssertUnwindSafe(|| {
                    let _calls = Calls(&once);
                    panic!("on purpose");
                }));
                assert!(unwinds.is_err());
                s.spawn(|| once.wait());
            });
            assert!(once.is_completed());
        }
    });
}

#[test]
fn printed_and_traits() {
    fn is<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    fn is_printed<T: std::fmt::Debug>() {}
    is::<Once>();
    is_printed::<OnceState>();
    let (ours, theirs) = (Once::new(), std::sync::Once::new());
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
}
