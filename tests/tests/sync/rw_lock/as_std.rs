//! std's own tests of `std::sync::RwLock`, for this crate's lock, in goroutines and on threads.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, TryLockError};
use std::thread;

use go_runtime::channel::bounded;
use go_runtime::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use go_runtime::{go, scope, yield_now};

use go_tests::support::{in_both, in_goroutine, on_thread, settle};

/// A value that is neither `Copy` nor `Clone`.
#[derive(PartialEq, Eq, Debug)]
struct NonCopy(i32);

fn poisoned<T: Send + Sync + 'static>(value: T) -> Arc<RwLock<T>> {
    let lock = Arc::new(RwLock::new(value));
    let holder = go!(clone(lock) {
        let _guard = lock.write().unwrap();
        panic!("on purpose, with the guard");
    });
    assert!(holder.join().is_err());
    assert!(lock.is_poisoned());
    lock
}

fn only<T: Debug>(shared: Arc<RwLock<T>>) -> RwLock<T> {
    Arc::try_unwrap(shared).unwrap()
}

#[test]
fn smoke() {
    in_both(|| {
        let lock = RwLock::new(());
        drop(lock.read().unwrap());
        drop(lock.write().unwrap());
        drop((lock.read().unwrap(), lock.read().unwrap()));
        drop(lock.write().unwrap());
    });
}

#[test]
fn frob() {
    const N: usize = 10;
    const M: usize = 1_000;
    in_both(|| {
        let lock = Arc::new(RwLock::new(()));
        let (tx, rx) = bounded::<()>(0);
        // One lock in ten is for writing, at random, with a different seed for each goroutine.
        let run = |lock: &RwLock<()>, seed: usize| {
            let mut random = fastrand::Rng::with_seed(seed as u64);
            for _ in 0..M {
                if random.usize(..N) == 0 {
                    drop(lock.write().unwrap());
                } else {
                    drop(lock.read().unwrap());
                }
            }
        };
        for seed in 0..N {
            go!(clone(lock, tx) {
                run(&lock, seed);
                drop(tx);
            });
            let (lock, tx) = (Arc::clone(&lock), tx.clone());
            thread::spawn(move || {
                run(&lock, N + seed);
                drop(tx);
            });
        }
        drop(tx);
        assert!(rx.recv().is_err());
    });
}

#[test]
fn rw_arc() {
    in_both(|| {
        let lock = Arc::new(RwLock::new(0));
        let (tx, rx) = bounded(1);
        go!(clone(lock) {
            let mut value = lock.write().unwrap();
            for _ in 0..10 {
                let before = *value;
                *value = -1;
                yield_now();
                *value = before + 1;
            }
            tx.send(()).unwrap();
        });
        // The readers try to see the value between the writer's changes.
        let readers: Vec<_> = (0..5)
            .map(|_| go!(clone(lock) { assert!(*lock.read().unwrap() >= 0) }))
            .collect();
        readers.into_iter().for_each(|r| r.join().unwrap());
        rx.recv().unwrap();
        assert_eq!(*lock.read().unwrap(), 10);
    });
}

#[test]
fn rw_arc_access_in_unwind() {
    struct Unwinder(Arc<RwLock<i32>>);
    impl Drop for Unwinder {
        fn drop(&mut self) {
            *self.0.write().unwrap() += 1;
        }
    }
    in_both(|| {
        let lock = Arc::new(RwLock::new(1));
        let unwinds = go!(clone(lock) {
            let _unwinder = Unwinder(lock);
            panic!("on purpose");
        });
        assert!(unwinds.join().is_err());
        assert_eq!(*lock.read().unwrap(), 2);
    });
}

#[test]
fn rwlock_unsized() {
    in_both(|| {
        let lock: &RwLock<[i32]> = &RwLock::new([1, 2, 3]);
        {
            let mut guard = lock.write().unwrap();
            guard[0] = 4;
            guard[2] = 5;
        }
        assert_eq!(&*lock.read().unwrap(), &[4, 2, 5]);
        let any: Arc<RwLock<dyn Debug + Send + Sync>> = Arc::new(RwLock::new(7_u8));
        assert_eq!(format!("{:?}", &*any.read().unwrap()), "7");
    });
}

#[test]
fn try_write_and_try_read() {
    in_both(|| {
        let lock = RwLock::new(0);
        let guard = lock.read().unwrap();
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        assert_eq!(*lock.try_read().unwrap(), 0);
        drop(guard);
        let guard = lock.try_write().unwrap();
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
        drop(guard);

        let lock = poisoned(3);
        match lock.try_read() {
            Err(TryLockError::Poisoned(poison)) => assert_eq!(**poison.get_ref(), 3),
            other => panic!("{other:?}"),
        }
        match lock.try_write() {
            Err(TryLockError::Poisoned(poison)) => assert_eq!(**poison.get_ref(), 3),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn into_inner() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    in_both(|| {
        assert_eq!(RwLock::new(NonCopy(10)).into_inner().unwrap(), NonCopy(10));
        let drops = Arc::new(AtomicUsize::new(0));
        let value = RwLock::new(Counts(drops.clone())).into_inner().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(value);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        drop(RwLock::new(Counts(drops.clone())));
        assert_eq!(drops.load(Ordering::SeqCst), 2);

        let poison = only(poisoned(NonCopy(10))).into_inner().unwrap_err();
        assert_eq!(poison.into_inner(), NonCopy(10));
    });
}

#[test]
fn get_mut() {
    in_both(|| {
        let mut lock = RwLock::new(NonCopy(10));
        *lock.get_mut().unwrap() = NonCopy(20);
        assert_eq!(lock.into_inner().unwrap(), NonCopy(20));

        let mut lock = only(poisoned(NonCopy(10)));
        assert_eq!(*lock.get_mut().unwrap_err().into_inner(), NonCopy(10));
    });
}

/// The guard is covariant, like `&T`.
#[test]
fn read_guard_covariance() {
    fn both<'a>(guard: RwLockReadGuard<'_, &'a i32>, other: &'a i32) -> i32 {
        **guard + *other
    }
    let five = 5;
    let lock = RwLock::new(&five);
    {
        let six = 6;
        assert_eq!(both(lock.read().unwrap(), &six), 11);
    }
    drop(lock);
}

#[test]
fn downgrade() {
    const WRITERS: usize = 20;
    const TIMES: usize = 100;
    in_both(|| {
        let lock = RwLock::new(0);
        let write = || {
            for _ in 0..TIMES {
                let mut guard = lock.write().unwrap();
                *guard += 1;
                let count = *guard;
                let guard = RwLockWriteGuard::downgrade(guard);
                yield_now();
                assert_eq!(*guard, count);
            }
        };
        scope(|s| {
            for _ in 0..WRITERS {
                s.spawn(write);
            }
            thread::scope(|t| {
                t.spawn(write);
                t.spawn(write);
            });
        });
        assert_eq!(*lock.read().unwrap(), (WRITERS + 2) * TIMES);
    });
}

/// After a downgrade waiting readers go in beside the former writer, and waiting writers wait for
/// all of them.
#[test]
fn downgrade_lets_in_readers_and_no_writer() {
    in_goroutine(|| {
        let lock = Arc::new(RwLock::new(0));
        let mut guard = lock.write().unwrap();
        let writers: Vec<_> = (0..20)
            .map(|_| go!(local; clone(lock) { *lock.write().unwrap() += 1 }))
            .collect();
        let (tx, rx) = bounded::<()>(0);
        let reader = go!(local; clone(lock) {
            let guard = lock.read().unwrap();
            let _ = rx.recv();
            *guard
        });
        settle();
        *guard = -1;
        let guard = RwLockWriteGuard::downgrade(guard);
        settle();
        assert!(writers.iter().all(|w| !w.is_finished()));
        assert_eq!(*guard, -1);
        drop(guard);
        settle();
        assert!(writers.iter().all(|w| !w.is_finished()));
        drop(tx);
        assert_eq!(reader.join().unwrap(), -1);
        writers.into_iter().for_each(|w| w.join().unwrap());
        assert_eq!(*lock.read().unwrap(), 19);
    });
}

#[test]
fn poison() {
    in_both(|| {
        let lock = poisoned(1);
        assert_eq!(**lock.read().unwrap_err().get_ref(), 1);
        assert_eq!(**lock.write().unwrap_err().get_ref(), 1);
        // The lock stays poisoned however often it is locked.
        assert!(lock.is_poisoned());
        assert_eq!(*lock.read().unwrap_or_else(PoisonError::into_inner), 1);
        let guard = lock.write().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*RwLockWriteGuard::downgrade(guard), 1);

        lock.clear_poison();
        assert!(!lock.is_poisoned());
        assert_eq!(*lock.read().unwrap(), 1);
        assert_eq!(*lock.write().unwrap(), 1);
    });
}

/// Neither readers nor a downgraded writer poison: they have changed nothing.
#[test]
fn readers_do_not_poison() {
    in_both(|| {
        let lock = RwLock::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _guard = lock.read().unwrap();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _guard = RwLockWriteGuard::downgrade(lock.write().unwrap());
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert!(!lock.is_poisoned());
        assert_eq!(*lock.write().unwrap(), 1);
    });
}

/// Neither a guard that was locked during the panic, nor a panic that was caught before, poisons
/// the lock.
#[test]
fn what_does_not_poison() {
    struct InDrop<'a>(&'a RwLock<i32>);
    impl Drop for InDrop<'_> {
        fn drop(&mut self) {
            *self.0.write().unwrap() = 2;
        }
    }
    in_both(|| {
        let lock = RwLock::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _in_drop = InDrop(&lock);
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(*lock.read().unwrap(), 2);

        let guard = lock.write().unwrap();
        assert!(catch_unwind(|| panic!("on purpose")).is_err());
        drop(guard);
        assert!(!lock.is_poisoned());
    });
}

/// Waiters get the lock when the writer panics, and learn of the panic.
#[test]
fn who_waits_learns_of_the_panic() {
    in_both(|| {
        let lock = Arc::new(RwLock::new(0));
        let (tx, rx) = bounded::<()>(0);
        let (held, is_held) = bounded::<()>(0);
        let holder = go!(clone(lock) {
            let _guard = lock.write().unwrap();
            held.send(()).unwrap();
            let _ = rx.recv();
            panic!("on purpose");
        });
        is_held.recv().unwrap();
        let waiting: Vec<_> = (0..10)
            .map(|i| {
                go!(clone(lock) {
                    if i % 2 == 0 { lock.read().is_err() } else { lock.write().is_err() }
                })
            })
            .collect();
        drop(tx);
        assert!(holder.join().is_err());
        assert!(waiting.into_iter().all(|w| w.join().unwrap()));
    });
}

#[test]
fn debug_default_and_from() {
    in_both(|| {
        let lock = RwLock::from(1);
        let text = |lock: &RwLock<i32>| format!("{lock:?}");
        assert_eq!(text(&lock), "RwLock { data: 1, poisoned: false, .. }");
        let guard = lock.write().unwrap();
        assert_eq!(
            text(&lock),
            "RwLock { data: <locked>, poisoned: false, .. }"
        );
        assert_eq!(format!("{guard:?} {guard}"), "1 1");
        drop(guard);
        let guard = lock.read().unwrap();
        assert_eq!(text(&lock), "RwLock { data: 1, poisoned: false, .. }");
        assert_eq!(format!("{guard:?} {guard}"), "1 1");
        drop(guard);
        assert_eq!(text(&poisoned(2)), "RwLock { data: 2, poisoned: true, .. }");
        assert_eq!(*RwLock::<i32>::default().read().unwrap(), 0);
    });
}

/// The `Debug` output is std's.
#[test]
fn debug_is_as_std_says() {
    on_thread(|| {
        let (ours, theirs) = (RwLock::new("a"), std::sync::RwLock::new("a"));
        assert_eq!(format!("{ours:#?}"), format!("{theirs:#?}"));
    });
}

/// The auto traits are std's.
#[test]
fn traits() {
    fn is<T: Send + Sync + UnwindSafe + RefUnwindSafe + ?Sized>() {}
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync + ?Sized>() {}
    fn is_unwind_safe<T: UnwindSafe>() {}
    is::<RwLock<i32>>();
    is::<RwLock<dyn Debug + Send + Sync>>();
    is_send::<RwLock<std::cell::Cell<i32>>>();
    is_sync::<RwLockReadGuard<'_, i32>>();
    is_sync::<RwLockWriteGuard<'_, i32>>();
    is_unwind_safe::<RwLockReadGuard<'_, i32>>();
    is_unwind_safe::<RwLockWriteGuard<'_, i32>>();
}
