//! `scope`: the values that its goroutines borrow stay alive until they have ended, whatever else
//! happens.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use go_runtime::channel::bounded;
use go_runtime::{Builder, JoinHandle, JoinSet, Scope, go, golang, scope, yield_now};

use go_tests::support;

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

/// Goroutines of the scope start more goroutines of it, in a tree.
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

/// After a panic in its own body a scope still waits for its goroutines.
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
        // If `join` has returned a panic, the scope does not panic.
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

/// A result that is not taken is dropped while the values that it borrows are still alive.
#[test]
fn results_are_dropped_inside() {
    struct Touch<'a>(&'a AtomicUsize, usize);
    impl Drop for Touch<'_> {
        fn drop(&mut self) {
            // Makes it likely that a scope that ends too early is noticed.
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

/// A panic from dropping a result counts as its goroutine's, and not as the worker's.
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

/// A refused spawn drops its closure, which panics: the scope does not wait for that goroutine.
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

/// A block borrows the variables that it uses, mutably or not, and needs no `move`.
#[test]
fn go_blocks_borrow() {
    support::in_both(|| {
        let words = vec![String::from("a"), String::from("bc")];
        let mut longest = "";
        let mut count = 0;
        let joined = scope(|s| {
            go!(s; { longest = words.iter().max_by_key(|word| word.len()).unwrap() });
            go!(s; count += words.len(); count += 1;);
            go!(s; words.concat(); words.join("-")).join().unwrap()
        });
        assert_eq!((longest, count, joined.as_str()), ("bc", 3, "a-bc"));
        drop(words);
    });
}

/// As in Go, the caller evaluates the arguments in each iteration. They may be borrows.
#[test]
fn go_calls_take_their_arguments_now() {
    fn add(total: &AtomicUsize, n: usize) -> usize {
        total.fetch_add(n, Ordering::Relaxed)
    }
    support::in_both(|| {
        let total = AtomicUsize::new(0);
        let mut evaluated = 0;
        scope(|s| {
            for n in 1..=10 {
                go!(s; add(&total, n));
                go!(
                    s;
                    (&total).fetch_add(
                        {
                            evaluated += 1;
                            n
                        },
                        Ordering::Relaxed,
                    )
                );
            }
            assert_eq!(evaluated, 10);
        });
        assert_eq!(total.into_inner(), 110);
    });
}

#[test]
fn go_closures_do_as_they_say() {
    support::in_both(|| {
        let total = AtomicUsize::new(0);
        scope(|s| {
            for n in 0..10 {
                let total = &total;
                go!(s; move || total.fetch_add(n, Ordering::Relaxed));
            }
            go!(s; || total.fetch_add(5, Ordering::Relaxed));
            let (own, total) = (String::from("own"), &total);
            go!(s; move { total.fetch_add(own.len(), Ordering::Relaxed) });
        });
        assert_eq!(total.into_inner(), 53);
    });
}

/// The goroutine owns the clones, even of `Copy` values, and borrows everything else.
#[test]
fn go_clones_are_moved_and_the_rest_borrowed() {
    support::in_both(|| {
        let (tx, rx) = bounded(10);
        let sent = AtomicUsize::new(0);
        let shared = Arc::new(());
        scope(|s| {
            for n in 0..10 {
                go!(s; clone(tx, n, shared) {
                    sent.fetch_add(1, Ordering::Relaxed);
                    drop(shared);
                    tx.send(n).unwrap();
                });
            }
        });
        drop(tx);
        assert_eq!(rx.iter().sum::<i32>(), 45);
        assert_eq!((sent.into_inner(), Arc::strong_count(&shared)), (10, 1));
    });
}

#[test]
fn go_options_with_a_scope() {
    support::in_both(|| {
        let text = String::from("text");
        scope(|s| {
            let named = go!(s, name = "named"; { text.len() });
            assert!(format!("{named:?}").contains("named"));
            assert_eq!(named.join().unwrap(), 4);
            let deep = go!(s, stack_size = 4 << 20, name = text.clone(); clone(text) {
                // This value is too large for the default stack.
                let large = [text.len(); 100_000];
                large.iter().sum::<usize>()
            });
            assert_eq!(deep.join().unwrap(), 400_000);
        });
        let caller = std::thread::current().id();
        scope(|s| {
            let elsewhere = go!(s, thread, name = "own"; {
                assert_eq!(text, "text");
                std::thread::current().id() != caller
            });
            assert!(elsewhere.join().unwrap());
        });
        let mut set = JoinSet::new();
        go!(set, thread; i32::max(2, 3));
        assert_eq!(set.join_next().unwrap().unwrap(), 3);
        let own = go!(thread, stack_size = 1 << 20; { std::thread::current().id() });
        assert_ne!(own.join().unwrap(), caller);
        let refused = catch_unwind(|| scope(|s| drop(go!(s, stack_size = 1; {}))));
        let payload = refused.unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap();
        assert!(message.contains("cannot spawn a goroutine"), "{message}");
    });
}

/// Goroutines of the scope start more; the spawner may be a field, or be passed by a macro.
#[test]
fn go_takes_all_kinds_of_spawners() {
    struct Tree<'scope, 'env> {
        scope: &'scope Scope<'scope, 'env>,
        leaves: &'scope AtomicUsize,
    }
    impl<'scope> Tree<'scope, '_> {
        fn grow(&'scope self, depth: u32) {
            if depth == 0 {
                self.leaves.fetch_add(1, Ordering::Relaxed);
                return;
            }
            go!(self.scope; clone(depth) { self.grow(depth - 1) });
            go!(self.scope, name = "right"; move || self.grow(depth - 1));
        }
    }
    /// Any type with such a method is a spawner.
    struct Own;
    impl Own {
        fn spawn<T: Send + 'static>(
            &self,
            f: impl FnOnce() -> T + Send + 'static,
        ) -> JoinHandle<T> {
            go_runtime::spawn(f)
        }
        fn two(&self) -> i32 {
            go!(self; i32::abs(-2)).join().unwrap()
        }
    }
    macro_rules! twice {
        ($scope:expr, $body:expr) => {
            go!($scope; { $body });
            go!($scope; || $body);
        };
    }
    support::in_both(|| {
        let hits = AtomicUsize::new(0);
        scope(|s| {
            twice!(s, hits.fetch_add(1, Ordering::Relaxed));
            go!(s; {
                go!(s; { hits.fetch_add(1, Ordering::Relaxed) });
            });
        });
        assert_eq!(hits.swap(0, Ordering::Relaxed), 3);
        // (Leaked, because the tree has to outlive the scope's own lifetime.)
        scope(|s| {
            let tree: &Tree<'_, '_> = Box::leak(Box::new(Tree {
                scope: s,
                leaves: &hits,
            }));
            tree.grow(5);
        });
        assert_eq!(hits.into_inner(), 32);

        let pair = (Own, 1);
        let n = 20;
        assert_eq!(go!(pair.0; move || n + 22).join().unwrap(), 42);
        assert_eq!(pair.0.two(), 2);
        // (This must not be parsed as a block that moves the spawner into a goroutine and drops it
        // there.)
        let nested = (0, (1, Own), 2);
        assert_eq!(go!(nested.1.1; move || n + 22).join().unwrap(), 42);
        assert_eq!(nested.1.1.two(), 2);
    });
}

#[test]
fn golang_takes_a_spawner() {
    support::in_both(|| {
        let total = AtomicUsize::new(0);
        golang! {
            scope(|s| {
                for n in 1..=3 {
                    go!<s; add(&total, n)>;
                }
                go!< s, name = "more"; total.fetch_add(10, Ordering::Relaxed); >;
            });
        }
        assert_eq!(total.into_inner(), 16);
    });
    fn add(total: &AtomicUsize, n: usize) {
        total.fetch_add(n, Ordering::Relaxed);
    }
}

/// The panic of a goroutine that `go!` has started is passed on like any other.
#[test]
fn go_in_a_scope_passes_panics_on() {
    support::in_both(|| {
        scope(|s| {
            let failed = go!(s; { panic!("expected") });
            let failed: std::thread::Result<()> = failed.join();
            assert!(failed.is_err());
        });
        catch_unwind(|| scope(|s| drop(go!(s; { panic!("expected") })))).unwrap_err();
    });
}
