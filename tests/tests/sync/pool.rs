//! `sync::Pool`: each value has one owner at a time, and is dropped once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use go_runtime::sync::{Pool, Pooled};
use go_runtime::{go, gomaxprocs, scope, yield_now};

use go_tests::support;

/// The maximum number of values that the pool keeps, as its documentation says.
fn bound() -> usize {
    64 * gomaxprocs().min(64)
}

/// Asserts the number of values in the pool, by its `Debug` output.
#[track_caller]
fn assert_values<T>(pool: &Pool<T>, values: usize) {
    assert_eq!(format!("{pool:?}"), format!("Pool {{ values: {values} }}"));
}

/// Counts how many values of its kind are alive.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Counted {
        alive.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn values_come_back_as_they_were_left() {
    support::in_both(|| {
        let pool = Pool::new(Vec::new);
        let mut first = pool.get();
        first.push(1);
        assert_values(&pool, 0);
        drop(first);
        assert_values(&pool, 1);
        let (again, other) = (pool.get(), pool.get());
        assert_eq!((&**again, &**other), (&[1][..], &[][..]));
        assert_eq!(format!("{again:?}"), "[1]");
        drop((again, other));
        assert_values(&pool, 2);
    });
}

#[test]
fn a_value_can_be_kept_and_another_given() {
    support::in_both(|| {
        let pool = Pool::new(|| String::from("made"));
        let kept = Pooled::detach(pool.get());
        assert_values(&pool, 0);
        pool.put(String::from("given"));
        assert_eq!((kept.as_str(), pool.get().as_str()), ("made", "given"));
    });
}

/// A pool drops values beyond its bound at once, and the others when it is dropped itself.
#[test]
fn the_bound_holds() {
    support::in_both(|| {
        let alive = Arc::new(AtomicUsize::new(0));
        let for_pool = Arc::clone(&alive);
        let pool = Pool::new(move || Counted::new(&for_pool));
        for _ in 0..2 {
            let held: Vec<_> = (0..bound() + 10).map(|_| pool.get()).collect();
            assert_eq!(alive.load(Ordering::Relaxed), bound() + 10);
            drop(held);
            assert_eq!(alive.load(Ordering::Relaxed), bound());
            assert_values(&pool, bound());
        }
        drop(pool);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    });
}

/// A value that one worker or thread has put back is found by another.
#[test]
fn values_are_found_from_everywhere() {
    let pool = Arc::new(Pool::new(|| 0));
    pool.put(1);
    assert_eq!(
        go!(clone(pool) { Pooled::detach(pool.get()) })
            .join()
            .unwrap(),
        1
    );
    go!(clone(pool) { pool.put(2) }).join().unwrap();
    assert_eq!(Pooled::detach(pool.get()), 2);
    go!(clone(pool) { pool.put(3) }).join().unwrap();
    let there = Arc::clone(&pool);
    assert_eq!(support::on_thread(move || Pooled::detach(there.get())), 3);
    assert_values(&pool, 0);
}

/// No value has two owners, and none is lost: each is in the pool or has been dropped.
#[test]
fn stress() {
    struct Owned {
        alive: Counted,
        owners: AtomicUsize,
    }
    support::in_both(|| {
        let alive = Arc::new(AtomicUsize::new(0));
        let for_pool = Arc::clone(&alive);
        let pool = Pool::new(move || Owned {
            alive: Counted::new(&for_pool),
            owners: AtomicUsize::new(0),
        });
        let work = || {
            for round in 0..500 {
                let value = pool.get();
                assert_eq!(value.owners.fetch_add(1, Ordering::Relaxed), 0);
                if round % 5 == 0 {
                    yield_now();
                }
                assert_eq!(value.owners.fetch_sub(1, Ordering::Relaxed), 1);
                match round % 50 {
                    0 => drop(Pooled::detach(value)),
                    1 => {
                        let own = Pooled::detach(value);
                        assert!(Arc::strong_count(&own.alive.0) > 1);
                        pool.put(own);
                    }
                    _ => drop(value),
                }
            }
        };
        thread::scope(|threads| {
            threads.spawn(work);
            threads.spawn(work);
            scope(|s| {
                for _ in 0..16 {
                    go!(s; work());
                }
            });
        });
        assert_values(&pool, alive.load(Ordering::Relaxed));
        drop(pool);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    });
}

/// `make` and a value's `Drop` may use the pool, and panic: they run outside of its locks.
#[test]
fn users_code_runs_outside_of_locks() {
    struct Meddler {
        pool: std::sync::Weak<Pool<Meddler>>,
        calm: bool,
    }
    impl Drop for Meddler {
        fn drop(&mut self) {
            if let Some(pool) = self.pool.upgrade()
                && !self.calm
            {
                yield_now();
                let mut other = pool.get();
                other.calm = true;
                yield_now();
            }
        }
    }
    support::in_both(|| {
        let pool = Arc::new_cyclic(|pool: &std::sync::Weak<Pool<Meddler>>| {
            let pool = pool.clone();
            Pool::new(move || {
                if let Some(pool) = pool.upgrade() {
                    // The pool may hold any number of values here.
                    assert!(format!("{pool:?}").starts_with("Pool"));
                    yield_now();
                }
                Meddler {
                    pool: pool.clone(),
                    calm: false,
                }
            })
        });
        let held: Vec<_> = (0..bound() + 10).map(|_| pool.get()).collect();
        drop(held);
        assert_values(&pool, bound());
    });
}

#[test]
fn panics_leave_the_pool_usable() {
    struct Bomb(bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.0 || thread::panicking(), "expected");
        }
    }
    support::in_both(|| {
        let calls = AtomicUsize::new(0);
        let pool = Pool::new(move || {
            assert!(calls.fetch_add(1, Ordering::Relaxed) > 0, "expected");
            Bomb(false)
        });
        catch_unwind(AssertUnwindSafe(|| drop(pool.get()))).unwrap_err();
        assert_values(&pool, 0);
        for _ in 0..bound() {
            pool.put(Bomb(false));
        }
        catch_unwind(AssertUnwindSafe(|| pool.put(Bomb(true)))).unwrap_err();
        assert_values(&pool, bound());
        // A value that is dropped during a panic does not return to the pool.
        catch_unwind(AssertUnwindSafe(|| {
            let _held = pool.get();
            panic!("expected");
        }))
        .unwrap_err();
        assert_values(&pool, bound() - 1);
        drop(pool.get());
        assert_values(&pool, bound() - 1);
    });
}

#[test]
fn a_leaked_value_is_only_lost() {
    support::in_both(|| {
        let pool = Pool::new(|| 1);
        std::mem::forget(pool.get());
        assert_eq!(*pool.get(), 1);
        assert_values(&pool, 1);
    });
}
