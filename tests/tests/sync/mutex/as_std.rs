//! std's own tests of `std::sync::Mutex`, for this crate's mutex, in goroutines and on threads.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, TryLockError};

use go_runtime::channel::bounded;
use go_runtime::go;
use go_runtime::sync::{Mutex, MutexGuard};

use go_tests::support::{in_both, on_thread};

/// A value that is neither `Copy` nor `Clone`.
#[derive(PartialEq, Eq, Debug)]
struct NonCopy(i32);

fn poisoned<T: Send + 'static>(value: T) -> Arc<Mutex<T>> {
    let mutex = Arc::new(Mutex::new(value));
    let holder = go!(clone(mutex) {
        let _guard = mutex.lock().unwrap();
        panic!("on purpose, with the guard");
    });
    assert!(holder.join().is_err());
    assert!(mutex.is_poisoned());
    mutex
}

fn only<T: Debug>(shared: Arc<Mutex<T>>) -> Mutex<T> {
    Arc::try_unwrap(shared).unwrap()
}

#[test]
fn smoke() {
    in_both(|| {
        let mutex = Mutex::new(());
        drop(mutex.lock().unwrap());
        drop(mutex.lock().unwrap());
    });
}

#[test]
fn lots_and_lots() {
    const TIMES: usize = 1_000;
    const EACH: usize = 3;
    in_both(|| {
        let mutex = Arc::new(Mutex::new(0));
        let (tx, rx) = bounded(0);
        for _ in 0..EACH {
            let inc = |mutex: &Mutex<usize>| (0..TIMES).for_each(|_| *mutex.lock().unwrap() += 1);
            go!(clone(mutex, tx) {
                inc(&mutex);
                tx.send(()).unwrap();
            });
            let (mutex, tx) = (mutex.clone(), tx.clone());
            std::thread::spawn(move || {
                inc(&mutex);
                tx.send(()).unwrap();
            });
        }
        drop(tx);
        assert_eq!(rx.iter().count(), 2 * EACH);
        assert_eq!(*mutex.lock().unwrap(), 2 * EACH * TIMES);
    });
}

#[test]
fn try_lock() {
    in_both(|| {
        let mutex = Mutex::new(());
        let guard = mutex.try_lock().unwrap();
        assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
        drop(guard);
        *mutex.try_lock().unwrap() = ();

        let mutex = poisoned(3);
        match mutex.try_lock() {
            Err(TryLockError::Poisoned(poison)) => assert_eq!(**poison.get_ref(), 3),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn into_inner() {
    in_both(|| {
        assert_eq!(Mutex::new(NonCopy(10)).into_inner().unwrap(), NonCopy(10));
    });
}

#[test]
fn into_inner_drop() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    in_both(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let mutex = Mutex::new(Counts(drops.clone()));
        let value = mutex.into_inner().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(value);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        drop(Mutex::new(Counts(drops.clone())));
        assert_eq!(drops.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn into_inner_poison() {
    in_both(|| {
        let mutex = only(poisoned(NonCopy(10)));
        let poison = mutex.into_inner().unwrap_err();
        assert_eq!(poison.into_inner(), NonCopy(10));
    });
}

#[test]
fn get_mut() {
    in_both(|| {
        let mut mutex = Mutex::new(NonCopy(10));
        *mutex.get_mut().unwrap() = NonCopy(20);
        assert_eq!(mutex.into_inner().unwrap(), NonCopy(20));
    });
}

#[test]
fn get_mut_poison() {
    in_both(|| {
        let mut mutex = only(poisoned(NonCopy(10)));
        let poison = mutex.get_mut().unwrap_err();
        assert_eq!(*poison.into_inner(), NonCopy(10));
    });
}

#[test]
fn lock_arc_nested() {
    in_both(|| {
        // A mutex inside a mutex; the receiver waits until both have been locked.
        let inner = Arc::new(Mutex::new(1));
        let outer = Arc::new(Mutex::new(inner));
        let (tx, rx) = bounded(0);
        go!(clone(outer) {
            let lock = outer.lock().unwrap();
            let lock2 = lock.lock().unwrap();
            assert_eq!(*lock2, 1);
            tx.send(()).unwrap();
        });
        rx.recv().unwrap();
    });
}

#[test]
fn arc_access_in_unwind() {
    struct Unwinder(Arc<Mutex<i32>>);
    impl Drop for Unwinder {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    in_both(|| {
        let mutex = Arc::new(Mutex::new(1));
        let unwinds = go!(clone(mutex) {
            let _unwinder = Unwinder(mutex);
            panic!("on purpose");
        });
        assert!(unwinds.join().is_err());
        assert_eq!(*mutex.lock().unwrap(), 2);
    });
}

#[test]
fn mutex_unsized() {
    in_both(|| {
        let mutex: &Mutex<[i32]> = &Mutex::new([1, 2, 3]);
        {
            let mut guard = mutex.lock().unwrap();
            guard[0] = 4;
            guard[2] = 5;
        }
        assert_eq!(&*mutex.lock().unwrap(), &[4, 2, 5]);
        let any: Arc<Mutex<dyn Debug + Send>> = Arc::new(Mutex::new(7_u8));
        assert_eq!(format!("{:?}", &*any.lock().unwrap()), "7");
    });
}

#[test]
fn poison() {
    in_both(|| {
        let mutex = poisoned(1);
        let poison = mutex.lock().unwrap_err();
        assert_eq!(**poison.get_ref(), 1);
        drop(poison);
        // The mutex stays poisoned however often it is locked.
        assert!(mutex.is_poisoned());
        assert_eq!(*mutex.lock().unwrap_or_else(PoisonError::into_inner), 1);

        mutex.clear_poison();
        assert!(!mutex.is_poisoned());
        assert_eq!(*mutex.lock().unwrap(), 1);
    });
}

/// A guard that was locked during the panic has not seen the value half changed, so it does not
/// poison.
#[test]
fn a_guard_made_in_unwinding_does_not_poison() {
    struct InDrop<'a>(&'a Mutex<i32>);
    impl Drop for InDrop<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = 2;
        }
    }
    in_both(|| {
        let mutex = Mutex::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _in_drop = InDrop(&mutex);
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(*mutex.lock().unwrap(), 2);
    });
}

/// A panic that is caught while the guard lives does not poison.
#[test]
fn a_caught_panic_does_not_poison() {
    in_both(|| {
        let mutex = Mutex::new(());
        let guard = mutex.lock().unwrap();
        assert!(catch_unwind(|| panic!("on purpose")).is_err());
        drop(guard);
        assert!(!mutex.is_poisoned());
    });
}

/// Waiters get the lock when the holder panics, and learn of the panic.
#[test]
fn who_waits_learns_of_the_panic() {
    in_both(|| {
        let mutex = Arc::new(Mutex::new(0));
        let (tx, rx) = bounded::<()>(0);
        let (held, is_held) = bounded::<()>(0);
        let holder = go!(clone(mutex) {
            let _guard = mutex.lock().unwrap();
            held.send(()).unwrap();
            let _ = rx.recv();
            panic!("on purpose");
        });
        is_held.recv().unwrap();
        let waiting: Vec<_> = (0..10)
            .map(|_| go!(clone(mutex) { mutex.lock().is_err() }))
            .collect();
        drop(tx);
        assert!(holder.join().is_err());
        assert!(waiting.into_iter().all(|w| w.join().unwrap()));
    });
}

#[test]
fn debug_default_and_from() {
    in_both(|| {
        let mutex = Mutex::from(1);
        let text = |mutex: &Mutex<i32>| format!("{mutex:?}");
        assert_eq!(text(&mutex), "Mutex { data: 1, poisoned: false, .. }");
        let guard = mutex.lock().unwrap();
        assert_eq!(
            text(&mutex),
            "Mutex { data: <locked>, poisoned: false, .. }"
        );
        assert_eq!(format!("{guard:?} {guard}"), "1 1");
        drop(guard);
        assert_eq!(text(&poisoned(2)), "Mutex { data: 2, poisoned: true, .. }");
        assert_eq!(*Mutex::<i32>::default().lock().unwrap(), 0);
    });
}

/// The `Debug` output is std's.
#[test]
fn debug_is_as_std_says() {
    on_thread(|| {
        let (ours, theirs) = (Mutex::new("a"), std::sync::Mutex::new("a"));
        assert_eq!(format!("{ours:#?}"), format!("{theirs:#?}"));
    });
}

/// A mutex can be made in a constant, and has std's auto traits.
#[test]
fn traits() {
    fn is<T: Send + Sync + UnwindSafe + RefUnwindSafe + ?Sized>() {}
    fn is_sync<T: Sync + ?Sized>() {}
    is::<Mutex<std::cell::Cell<i32>>>();
    is::<Mutex<dyn Debug + Send>>();
    is_sync::<MutexGuard<'_, i32>>();
    // With a small value a mutex fits into a cache line.
    assert_eq!(size_of::<Mutex<u64>>(), 48);
    static IN_CONSTANT: Mutex<i32> = Mutex::new(1);
    assert_eq!(*IN_CONSTANT.lock().unwrap(), 1);
}
