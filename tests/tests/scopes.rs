//! `scope`: what its goroutines borrow stays alive until they have ended, whatever else happens.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use go_runtime::channel::bounded;
use go_runtime::{Builder, Scope, scope, yield_now};

mod support;

#[test]
fn goroutines_borrow_and_give_back() {
    support::in_both(|| {
        let words = [String::from("a"), String::from("b")];
        let mut last = String::new();
        let lengths: Vec<usize> = scope(|s| {
            let handles: Vec<_> = words.iter().map(|word| s.spawn(|| word.len())).collect();
            s.spawn(|| last.push_str(&words[1]));
            handles.into_iter().map(|h| h.join().unwrap()).collect()
        });
        assert_eq!((lengths, last.as_str()), (vec![1, 1], "b"));
    });
}

/// A tree of goroutines, each started by one of the scope.
#[test]
fn goroutines_of_a_scope_start_more() {
    fn grow<'scope>(s: &'scope Scope<'scope, '_>, depth: u32, leaves: &'scope AtomicUsize) {
        if depth == 0 {
            leaves.fetch_add(1, Ordering::Relaxed);
            return;
        }
        for _ in 0..2 {
            s.spawn(move || grow(s, depth - 1, leaves));
        }
    }
    support::in_both(|| {
        let leaves = AtomicUsize::new(0);
        scope(|s| grow(s, 8, &leaves));
        assert_eq!(leaves.into_inner(), 256);
    });
}

#[test]
fn scopes_nest() {
    support::in_both(|| {
        let total = AtomicUsize::new(0);
        scope(|outer| {
            for i in 0..10 {
                let total = &total;
                outer.spawn(move || {
                    let here = [i; 10];
                    scope(|inner| {
                        for n in &here {
                            inner.spawn(move || total.fetch_add(*n, Ordering::Relaxed));
                        }
                    });
                });
            }
        });
        assert_eq!(total.into_inner(), 450);
    });
}

/// A panic in the scope's own body does not let it go before its goroutines have ended.
#[test]
fn a_panic_in_the_body_waits() {
    support::in_both(|| {
        let ended = AtomicUsize::new(0);
        let (tx, rx) = bounded::<()>(0);
        let payload = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                let (ended, rx) = (&ended, &rx);
                for _ in 0..3 {
                    s.spawn(move || {
                        assert!(rx.recv().is_err());
                        yield_now();
                        ended.fetch_add(1, Ordering::Relaxed);
                    });
                }
                drop(tx);
                panic!("expected");
            })
        }))
        .unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"expected"));
        assert_eq!(ended.into_inner(), 3);
    });
}

#[test]
fn a_panic_that_nobody_took_goes_on() {
    support::in_both(|| {
        let unwound = |leak: bool| {
            catch_unwind(AssertUnwindSafe(|| {
                scope(|s| {
                    let handle = s.spawn(|| panic!("expected"));
                    if leak {
                        mem::forget(handle);
                    }
                })
            }))
            .unwrap_err()
        };
        for leak in [false, true] {
            let payload = unwound(leak);
            let message = payload.downcast_ref::<&str>();
            assert_eq!(message, Some(&"a scoped goroutine panicked"));
        }
        // One that has been taken does not.
        scope(|s| assert!(s.spawn(|| panic!("expected")).join().is_err()));
    });
}

/// Leaking a handle leaks the result, and lets the scope end all the same.
#[test]
fn a_leaked_handle_keeps_nobody() {
    support::in_both(|| {
        let n = AtomicUsize::new(0);
        scope(|s| mem::forget(s.spawn(|| n.fetch_add(1, Ordering::Relaxed))));
        assert_eq!(n.into_inner(), 1);
    });
}

/// A result that nobody takes is dropped while what it borrows is still there.
#[test]
fn results_are_dropped_inside() {
    struct Touch<'a>(&'a AtomicUsize, usize);
    impl Drop for Touch<'_> {
        fn drop(&mut self) {
            // Give others a chance to be early.
            yield_now();
            self.0.fetch_add(self.1, Ordering::Relaxed);
        }
    }
    support::in_both(|| {
        for _ in 0..100 {
            let touched = AtomicUsize::new(0);
            scope(|s| {
                let touched = &touched;
                s.spawn(move || Touch(touched, 1));
                let second = s.spawn(move || Touch(touched, 10));
                drop(second.join());
            });
            assert_eq!(touched.into_inner(), 11);
        }
    });
}

/// A result whose drop panics counts as a panic of its goroutine, and not as one of a worker.
#[test]
fn a_result_that_panics_when_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("expected");
        }
    }
    support::in_both(|| {
        let (tx, rx) = bounded::<()>(0);
        catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                let rx = &rx;
                drop(s.spawn(move || {
                    let _ = rx.recv();
                    Bomb
                }));
                drop(tx);
            })
        }))
        .unwrap_err();
    });
}

/// No goroutine comes to be, and the closure that it was to run panics when it is dropped: the scope waits for nobody.
#[test]
fn a_refused_closure_that_panics_when_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("expected");
        }
    }
    support::in_both(|| {
        catch_unwind(|| {
            scope(|s| {
                let bomb = Bomb;
                let refused = Builder::new()
                    .stack_size(1)
                    .spawn_scoped(s, move || drop(bomb));
                assert!(refused.is_err());
            });
        })
        .unwrap_err();
        scope(|s| {
            let refused = Builder::new().stack_size(1).spawn_scoped(s, || {});
            assert!(refused.unwrap_err().to_string().contains("stack"));
        });
    });
}
