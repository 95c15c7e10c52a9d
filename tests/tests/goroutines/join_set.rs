//! `JoinSet`: every result comes out once, in the order in which the goroutines end.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use go_runtime::channel::{bounded, unbounded};
use go_runtime::{Builder, JoinSet, go, scope, yield_now};

use go_tests::support;

#[test]
fn every_result_comes_once() {
    support::in_both(|| {
        let mut set = JoinSet::new();
        assert!(set.join_next().is_none() && set.try_join_next().is_none());
        for round in 0..20 {
            for n in 0..100 {
                set.spawn(move || {
                    if n % 3 == 0 {
                        yield_now();
                    }
                    n
                });
            }
            assert_eq!(set.len(), 100);
            let mut seen = [0; 100];
            while let Some(result) = set.join_next() {
                seen[result.unwrap()] += 1;
            }
            assert!(seen.iter().all(|times| *times == 1), "{round}: {seen:?}");
            assert!(set.is_empty());
        }
    });
}

/// Each goroutine may end when the one before it has been joined.
#[test]
fn results_come_in_the_order_of_the_ends() {
    support::in_both(|| {
        let mut set = JoinSet::new();
        let senders: Vec<_> = (0..10)
            .map(|n| {
                let (tx, rx) = bounded::<()>(0);
                set.spawn(move || {
                    let _ = rx.recv();
                    n
                });
                tx
            })
            .collect();
        assert!(set.try_join_next().is_none());
        for (n, tx) in senders.into_iter().enumerate().rev() {
            drop(tx);
            assert_eq!(set.join_next().unwrap().unwrap(), n);
            assert_eq!(set.len(), n);
        }
        assert!(set.join_next().is_none());
    });
}

#[test]
fn what_has_ended_can_be_had_without_waiting() {
    support::in_both(|| {
        let mut set = JoinSet::new();
        let (stop, done) = bounded::<()>(0);
        set.spawn(move || {
            let _ = done.recv();
        });
        set.spawn(|| {});
        support::eventually(|| set.try_join_next().is_some_and(|result| result.is_ok()));
        assert!(set.try_join_next().is_none());
        assert_eq!(set.len(), 1);
        drop(stop);
        assert_eq!(set.join_all().len(), 1);
    });
}

#[test]
fn panics_are_results() {
    support::in_both(|| {
        let set = JoinSet::new();
        for n in 0..10 {
            set.spawn(move || match n % 2 {
                0 => n,
                // (`resume_unwind` prints no message.)
                _ => resume_unwind(Box::new(n)),
            });
        }
        let (good, bad): (Vec<_>, Vec<_>) = set.join_all().into_iter().partition(Result::is_ok);
        let mut good: Vec<i32> = good.into_iter().map(Result::unwrap).collect();
        let mut bad: Vec<i32> = bad
            .into_iter()
            .map(|payload| *payload.unwrap_err().downcast().unwrap())
            .collect();
        good.sort_unstable();
        bad.sort_unstable();
        assert_eq!((good, bad), (vec![0, 2, 4, 6, 8], vec![1, 3, 5, 7, 9]));
    });
}

/// The captured values have been dropped when the result arrives.
#[test]
fn nothing_of_the_closure_is_left() {
    support::in_both(|| {
        for panics in [false, true] {
            let mut set = JoinSet::new();
            let captured = Arc::new(());
            for _ in 0..100 {
                let own = Arc::clone(&captured);
                set.spawn(move || {
                    let _own = &own;
                    if panics {
                        resume_unwind(Box::new("expected"));
                    }
                });
                assert_eq!(set.join_next().unwrap().is_err(), panics);
                assert_eq!(Arc::strong_count(&captured), 1);
            }
        }
    });
}

/// Dropping a set ends no goroutine. All results are dropped, including later ones.
#[test]
fn a_dropped_set_lets_its_goroutines_go_on() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            yield_now();
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    support::in_both(|| {
        let (stop, done) = bounded::<()>(0);
        let (tx, ended) = unbounded();
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut set = JoinSet::new();
        for n in 0..10 {
            let (done, tx, dropped) = (done.clone(), tx.clone(), Arc::clone(&dropped));
            set.spawn(move || {
                if n < 5 {
                    let _ = done.recv();
                }
                tx.send(()).unwrap();
                Counted(dropped)
            });
        }
        drop((done, tx));
        drop(set.join_next());
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
        drop(set);
        drop(stop);
        assert_eq!(ended.iter().count(), 10);
        support::eventually(|| dropped.load(Ordering::Relaxed) == 10);
    });
}

/// A result that is not taken may panic when it is dropped, and affects nothing else.
#[test]
fn a_result_that_panics_when_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("expected");
        }
    }
    support::in_both(|| {
        let (stop, done) = bounded::<()>(0);
        let set = JoinSet::new();
        let (tx, ended) = bounded::<()>(0);
        set.spawn(move || {
            let _tx = tx;
            let _ = done.recv();
            Bomb
        });
        drop(set);
        drop(stop);
        assert!(ended.recv().is_err());
        assert_eq!(go!(i32::abs(-5)).join().unwrap(), 5);
    });
}

/// A refused spawn makes no goroutine, and counts none.
#[test]
fn a_refused_goroutine_is_not_counted() {
    support::in_both(|| {
        let mut set = JoinSet::new();
        let refused = set.spawn_with(Builder::new().stack_size(1), || ());
        assert!(refused.unwrap_err().to_string().contains("stack"));
        assert!(set.is_empty() && set.join_next().is_none());

        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("expected");
            }
        }
        let bomb = Bomb;
        let spawn = || set.spawn_with(Builder::new().stack_size(1), move || drop(bomb));
        catch_unwind(AssertUnwindSafe(spawn)).unwrap_err();
        assert!(set.is_empty() && set.join_next().is_none());
        set.spawn_with(Builder::new().name("named"), || ()).unwrap();
        assert_eq!(format!("{set:?}"), "JoinSet { len: 1 }");
        assert!(set.join_next().unwrap().is_ok());
    });
}

/// Several goroutines add to one set, which is then joined.
#[test]
fn a_shared_set() {
    support::in_both(|| {
        let set = JoinSet::new();
        scope(|s| {
            for n in 0..4 {
                go!(s; clone(n) {
                    for m in 0..100 {
                        set.spawn(move || 100 * n + m);
                    }
                });
            }
        });
        assert_eq!(set.len(), 400);
        let results = set.join_all();
        assert_eq!(results.len(), 400);
        let sum: i32 = results.into_iter().map(Result::unwrap).sum();
        assert_eq!(sum, (0..400).sum());
    });
}

#[test]
fn the_forms_of_go() {
    fn double(n: i32) -> i32 {
        2 * n
    }
    support::in_both(|| {
        let set = JoinSet::default();
        let text = String::from("three");
        for n in 1..=2 {
            go!(set; double(n));
            go!(set; move || n);
            go!(set; clone(n) { n });
        }
        go!(set; move { text.len() as i32 });
        let sum: i32 = set.join_all().into_iter().map(Result::unwrap).sum();
        assert_eq!(sum, 6 + 3 + 3 + 5);
    });
}

#[test]
fn closures_are_collected_and_results_iterated() {
    support::in_both(|| {
        let mut set: JoinSet<usize> = (0..100).map(|n| move || n).collect();
        set.extend((100..200).map(|n| move || n));
        let mut results = set.into_iter();
        assert_eq!(results.len(), 200);
        let mut seen: Vec<_> = results.by_ref().map(Result::unwrap).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..200));
        assert_eq!(results.size_hint(), (0, Some(0)));
        assert!(results.next().is_none() && results.next().is_none());
    });
}
