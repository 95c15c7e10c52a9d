//! `OnceLock` and `LazyLock`: std's own tests, and values that are made by closures that park.

use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use go_runtime::channel::bounded;
use go_runtime::sync::{LazyLock, Mutex, OnceLock};
use go_runtime::{go, scope, yield_now};

use crate::once::message;

use go_tests::support::{in_both, in_goroutine, on_thread, settle};

/// Counts how often it is dropped.
struct Counts(Arc<AtomicUsize>);

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// All callers get the same value, from the one closure that was run.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn a_stampede() {
    for round in 0..100 {
        let made = AtomicUsize::new(0);
        let make = || {
            made.fetch_add(1, Ordering::Relaxed);
            (0..round % 4).for_each(|_| yield_now());
            vec![round; 10]
        };
        let (cell, lazy) = (OnceLock::new(), LazyLock::new(make));
        let get = |i: usize| {
            let value = match i % 4 {
                0 => cell.wait(),
                1 => {
                    let _ = cell.set(vec![round; 10]);
                    cell.get().unwrap()
                }
                2 => cell.get_or_init(|| vec![round; 10]),
                _ => &*lazy,
            };
            assert!(value.len() == 10 && value.iter().all(|n| *n == round));
        };
        scope(|s| {
            for i in 0..52 {
                s.spawn(move || get(i));
            }
            thread::scope(|t| {
                (1..4).for_each(|i| drop(t.spawn(move || get(i))));
            });
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn once_lock_in_a_static() {
    static CELL: OnceLock<i32> = OnceLock::new();
    assert!(CELL.get().is_none());
    in_both(|| {
        CELL.get_or_init(|| 92);
        assert_eq!(CELL.get(), Some(&92));
    });
    CELL.get_or_init(|| panic!("there is a value"));
    assert_eq!(CELL.get(), Some(&92));
}

#[test]
fn once_lock_get_mut_take_and_into_inner() {
    in_both(|| {
        let mut cell = OnceLock::new();
        assert!(cell.get_mut().is_none());
        assert_eq!(cell.take(), None);
        cell.set(90).unwrap();
        *cell.get_mut().unwrap() += 2;
        assert_eq!(cell.get_mut(), Some(&mut 92));
        assert_eq!(cell.take(), Some(92));
        assert_eq!(cell.get(), None);
        assert_eq!(cell.set(1), Ok(()));
        assert_eq!(cell.set(2), Err(2));
        assert_eq!(cell.into_inner(), Some(1));
        assert_eq!(OnceLock::<String>::new().into_inner(), None);
    });
}

#[test]
fn values_are_dropped_once() {
    in_both(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let dropped = || drops.load(Ordering::SeqCst);
        let cell = OnceLock::new();
        drop(OnceLock::<Counts>::new());
        cell.get_or_init(|| Counts(drops.clone()));
        assert_eq!(dropped(), 0);
        // A value that comes too late is returned.
        drop(cell.set(Counts(drops.clone())));
        assert_eq!(dropped(), 1);
        let mut cell = cell;
        drop(cell.take());
        drop(cell);
        assert_eq!(dropped(), 2);

        // The closure and the value of a `LazyLock` are each dropped exactly once.
        let (closure, value) = (Counts(drops.clone()), Counts(drops.clone()));
        let lazy = LazyLock::new(move || {
            let _closure = closure;
            value
        });
        LazyLock::force(&lazy);
        assert_eq!(dropped(), 3);
        drop(lazy);
        assert_eq!(dropped(), 4);
        let never = Counts(drops.clone());
        drop(LazyLock::new(move || never));
        assert_eq!(dropped(), 5);
        let lost = Counts(drops.clone());
        let panics = LazyLock::new(move || -> Counts {
            let _lost = lost;
            panic!("on purpose")
        });
        message(|| drop(LazyLock::force(&panics).0.clone()));
        drop(panics);
        assert_eq!(dropped(), 6);
        drop(OnceLock::from(Counts(drops.clone())));
        assert_eq!(dropped(), 7);
    });
}

#[test]
fn once_lock_clone_from_and_eq() {
    let cell = OnceLock::new();
    assert!(cell.clone().get().is_none());
    cell.set(String::from("hello")).unwrap();
    assert_eq!(cell.clone().get().map(String::as_str), Some("hello"));

    assert_eq!(OnceLock::from("value"), OnceLock::from("value"));
    assert_ne!(OnceLock::from("foo"), OnceLock::from("bar"));
    assert_eq!(OnceLock::<String>::new(), OnceLock::default());
    assert_ne!(OnceLock::new(), OnceLock::from("value"));
}

/// After a panic the next caller makes the value.
#[test]
fn once_lock_is_not_poisoned() {
    in_both(|| {
        let cell = OnceLock::new();
        for _ in 0..2 {
            let said = message(|| {
                drop(
                    cell.get_or_init(|| -> String { panic!("on purpose") })
                        .clone(),
                )
            });
            assert_eq!(said, "on purpose");
            assert!(cell.get().is_none());
        }
        assert_eq!(cell.get_or_init(|| "hello".to_string()), "hello");
        assert_eq!(cell.wait(), "hello");
    });
}

/// The closure waits for a goroutine of its own worker. Callers that want the value meanwhile are
/// parked, and one of them takes over after a panic.
#[test]
fn what_makes_the_value_may_park() {
    in_goroutine(|| {
        let cell = Arc::new(OnceLock::new());
        let (tx, rx) = bounded::<u32>(0);
        let fails = go!(local; clone(cell, rx) { *cell.get_or_init(|| rx.recv().unwrap()) });
        settle();
        let others: Vec<_> = (0..10)
            .map(|_| go!(local; clone(cell) { *cell.get_or_init(|| { yield_now(); 7 }) }))
            .collect();
        let waits = go!(local; clone(cell) { *cell.wait() });
        settle();
        assert!(others.iter().all(|o| !o.is_finished()));
        drop(tx);
        assert!(fails.join().is_err());
        assert!(others.into_iter().all(|o| o.join().unwrap() == 7));
        assert_eq!(waits.join().unwrap(), 7);
    });
}

#[test]
fn who_would_wait_for_itself_panics() {
    in_both(|| {
        let cell = OnceLock::new();
        let said = message(|| {
            cell.get_or_init(|| {
                assert_eq!(cell.get(), None);
                cell.set(1).unwrap();
                2
            });
        });
        assert!(said.contains("waits for itself"), "{said}");
        assert_eq!(cell.set(3), Ok(()));
    });
}

#[test]
fn lazy_lock_in_a_static() {
    static CALLED: AtomicUsize = AtomicUsize::new(0);
    static LAZY: LazyLock<Vec<i32>> = LazyLock::new(|| {
        CALLED.fetch_add(1, Ordering::SeqCst);
        let (tx, rx) = bounded(0);
        go!((1..=3).for_each(|i| tx.send(i).unwrap()));
        rx.iter().collect()
    });
    assert_eq!(CALLED.load(Ordering::SeqCst), 0);
    in_both(|| {
        assert_eq!(*LAZY, [1, 2, 3]);
        assert_eq!(CALLED.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn lazy_lock_default() {
    static CALLED: AtomicUsize = AtomicUsize::new(0);
    struct Value(u8);
    impl Default for Value {
        fn default() -> Self {
            CALLED.fetch_add(1, Ordering::SeqCst);
            Value(42)
        }
    }
    on_thread(|| {
        let lazy: LazyLock<Mutex<Value>> = LazyLock::default();
        assert_eq!(CALLED.load(Ordering::SeqCst), 0);
        assert_eq!(lazy.lock().unwrap().0, 42);
        lazy.lock().unwrap().0 = 21;
        assert_eq!(lazy.lock().unwrap().0, 21);
        assert_eq!(CALLED.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn lazy_lock_force_mut() {
    in_both(|| {
        let text = String::from("abc");
        let mut lazy = LazyLock::new(move || text);
        LazyLock::force_mut(&mut lazy).push('d');
        lazy.push('e');
        assert_eq!(*lazy, "abcde");
    });
}

/// The first call shows the closure's panic, and later ones say that the lock is poisoned.
#[test]
fn lazy_lock_poisoning() {
    in_both(|| {
        let mut lazy: LazyLock<String> = LazyLock::new(|| panic!("on purpose"));
        assert_eq!(message(|| assert_eq!(lazy.len(), 0)), "on purpose");
        for _ in 0..2 {
            let said = message(|| assert_eq!(lazy.len(), 0));
            assert_eq!(said, "LazyLock instance has previously been poisoned");
        }
        let said = message(|| LazyLock::force_mut(&mut lazy).clear());
        assert_eq!(said, "LazyLock instance has previously been poisoned");
    });
}

/// The output is std's, both before the value is made and after.
#[test]
fn printed() {
    let (ours, theirs) = (OnceLock::new(), std::sync::OnceLock::new());
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    let (_, _) = (ours.set(1), theirs.set(1));
    assert_eq!(format!("{ours:#?}"), format!("{theirs:#?}"));

    let (ours, theirs) = (LazyLock::new(|| 1), std::sync::LazyLock::new(|| 1));
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    assert_eq!(*ours, *theirs);
    assert_eq!(format!("{ours:#?}"), format!("{theirs:#?}"));
}

/// While a value is being made, the output is that of a cell without one.
#[test]
fn printed_from_within() {
    let cell = OnceLock::new();
    assert_eq!(
        *cell.get_or_init(|| format!("{cell:?}")),
        "OnceLock(<uninit>)"
    );
}

/// The auto traits are std's.
#[test]
fn traits() {
    fn is<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is::<OnceLock<String>>();
    is::<LazyLock<String>>();
    is_send::<OnceLock<Cell<i32>>>();
    // The closure need not be `Sync`: it is only ever moved out.
    is_sync::<LazyLock<String, Box<dyn FnOnce() -> String + Send>>>();
    fn of_a_closure<F>(make: F) -> impl Sync
    where
        F: FnOnce() -> i32 + Send,
    {
        LazyLock::new(make)
    }
    let cell = Cell::new(1);
    drop(of_a_closure(move || cell.get()));
}
