//! `singleflight`: one call at a time for a key, whatever keys, values and closures do.

use std::any::Any;
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use go_runtime::channel::{Receiver, RecvError, bounded};
use go_runtime::singleflight::Group;
use go_runtime::{JoinHandle, go, scope, yield_now};

use go_tests::support;

fn message(payload: &(dyn Any + Send)) -> &str {
    match payload.downcast_ref::<String>() {
        Some(message) => message,
        None => payload.downcast_ref::<&str>().unwrap(),
    }
}

/// Asserts how many calls run, and how many callers wait for them.
#[track_caller]
fn assert_calls<K, V>(group: &Group<K, V>, running: usize, waiting: usize) {
    let expected = format!("Group {{ running: {running}, waiting: {waiting} }}");
    assert_eq!(format!("{group:?}"), expected);
}

/// Waits until these numbers of calls run, and of callers wait.
#[track_caller]
fn until_calls<K, V>(group: &Group<K, V>, running: usize, waiting: usize) {
    let expected = format!("Group {{ running: {running}, waiting: {waiting} }}");
    support::eventually(|| format!("{group:?}") == expected);
}

/// Starts a call that runs until the sender is dropped, and waits until it has begun.
fn held<V: Clone + Send + 'static>(
    group: &Group<&'static str, V>,
    f: impl FnOnce() -> V + Send + 'static,
) -> (go_runtime::channel::Sender<()>, JoinHandle<(V, bool)>) {
    let (stop, done) = bounded::<()>(0);
    let (tx, started) = bounded(0);
    let group = group.clone();
    let leader = go! {
        group.run("key", || {
            tx.send(()).unwrap();
            let _ = done.recv();
            f()
        })
    };
    started.recv().unwrap();
    (stop, leader)
}

#[test]
fn alone_it_just_runs() {
    support::in_both(|| {
        let group = Group::new();
        let text = String::from("borrowed");
        for n in 0..3 {
            assert_eq!(group.run(n, || text.len()), (8, false));
        }
        assert_eq!(group.run(1, || 1), (1, false));
        assert_eq!(group.run_chan(1, || 2).recv(), Ok((2, false)));
        assert_calls(&group, 0, 0);
    });
}

/// Callers that come during a call share its result, and no closure of theirs runs.
#[test]
fn those_who_come_meanwhile_share() {
    support::in_both(|| {
        let group: Group<&str, i32> = Group::new();
        let (stop, leader) = held(&group, || 42);
        // A call of `run_chan` has queued when it returns.
        let channels: Vec<Receiver<_>> = (0..10)
            .map(|_| group.run_chan("key", || unreachable!("another call runs")))
            .collect();
        assert_eq!(group.run("another", || 1), (1, false));
        assert_calls(&group, 1, 10);
        drop(stop);
        assert_eq!(leader.join().unwrap(), (42, true));
        for channel in channels {
            assert_eq!(channel.recv(), Ok((42, true)));
            assert_eq!(channel.recv(), Err(RecvError));
        }
        assert_eq!(group.run("key", || 43), (43, false));
    });
}

/// Goroutines and threads call for few keys, many times: no two calls for one key overlap, and each
/// result comes from a call.
#[test]
fn stress() {
    const KEYS: usize = 3;
    const ROUNDS: usize = 300;
    support::in_both(|| {
        let group: Group<usize, (usize, usize)> = Group::new();
        let running: [AtomicUsize; KEYS] = Default::default();
        let made: [AtomicUsize; KEYS] = Default::default();
        let served = AtomicUsize::new(0);
        let ask = |seed: usize| {
            for round in 0..ROUNDS {
                let key = (seed + round) % KEYS;
                let make = || {
                    assert_eq!(running[key].fetch_add(1, Ordering::SeqCst), 0);
                    let n = made[key].fetch_add(1, Ordering::SeqCst);
                    if round % 2 == 0 {
                        yield_now();
                    }
                    running[key].fetch_sub(1, Ordering::SeqCst);
                    (key, n)
                };
                let ((of, n), _) = group.run(key, make);
                assert_eq!(of, key);
                assert!(n < made[key].load(Ordering::SeqCst));
                served.fetch_add(1, Ordering::SeqCst);
            }
        };
        thread::scope(|threads| {
            threads.spawn(|| ask(1));
            scope(|s| {
                for seed in 0..8 {
                    go!(s; clone(seed) { ask(seed) });
                }
            });
        });
        assert_eq!(served.into_inner(), 9 * ROUNDS);
        assert_calls(&group, 0, 0);
    });
}

#[test]
fn a_panic_reaches_everybody() {
    support::in_both(|| {
        let group: Group<&str, i32> = Group::new();
        let (stop, leader) = held(&group, || panic!("expected"));
        let channel = group.run_chan("key", || unreachable!("another call runs"));
        let waiting: Vec<_> = (0..3)
            .map(|_| go!(clone(group) { group.run("key", || unreachable!("another call runs")) }))
            .collect();
        until_calls(&group, 1, 4);
        drop(stop);
        let payload = leader.join().unwrap_err();
        assert_eq!(message(&*payload), "expected");
        assert_eq!(channel.recv(), Err(RecvError));
        for waiting in waiting {
            let payload = waiting.join().unwrap_err();
            assert!(message(&*payload).contains("the same key, panicked"));
        }
        assert_calls(&group, 0, 0);
        assert_eq!(group.run("key", || 8), (8, false));
    });
}

#[test]
fn a_forgotten_call_goes_on_beside_the_next() {
    support::in_both(|| {
        let group: Group<&str, i32> = Group::new();
        let (stop, leader) = held(&group, || 1);
        let waiting = group.run_chan("key", || unreachable!("another call runs"));
        group.forget("another");
        group.forget("key");
        assert_calls(&group, 0, 0);
        let (stop_next, next) = held(&group, || 2);
        let waiting_next = group.run_chan("key", || unreachable!("another call runs"));
        // The end of the forgotten call does not remove the new one.
        drop(stop);
        assert_eq!(leader.join().unwrap(), (1, true));
        assert_eq!(waiting.recv(), Ok((1, true)));
        assert_calls(&group, 1, 1);
        drop(stop_next);
        assert_eq!(next.join().unwrap(), (2, true));
        assert_eq!(waiting_next.recv(), Ok((2, true)));
    });
    let names: Group<String, ()> = Group::new();
    names.forget("by what it borrows as");
}

/// Receivers that are dropped early take nothing from the others, and the closure runs to its end.
#[test]
fn dropped_receivers() {
    support::in_both(|| {
        let group: Group<i32, Arc<str>> = Group::new();
        let (stop, done) = bounded::<()>(0);
        let first = group.run_chan(1, move || {
            let _ = done.recv();
            "value".into()
        });
        let second = group.run_chan(1, || unreachable!("another call runs"));
        let third = group.run_chan(1, || unreachable!("another call runs"));
        drop((first, third));
        drop(stop);
        let (value, shared) = second.recv().unwrap();
        assert_eq!((&*value, shared), ("value", true));
        support::eventually(|| Arc::strong_count(&value) == 1);

        // No caller is left to want the result.
        let (tx, ended) = bounded::<()>(0);
        drop(group.run_chan(2, move || {
            drop(tx);
            "value".into()
        }));
        assert!(ended.recv().is_err());
        until_calls(&group, 0, 0);
    });
}

#[test]
fn a_panic_in_run_chan_closes_the_channels() {
    support::in_both(|| {
        let group: Group<i32, i32> = Group::new();
        let (stop, done) = bounded::<()>(0);
        let channels = [
            group.run_chan(1, move || {
                let _ = done.recv();
                panic!("expected")
            }),
            group.run_chan(1, || unreachable!("another call runs")),
        ];
        drop(stop);
        for channel in channels {
            assert_eq!(channel.recv(), Err(RecvError));
        }
        assert_eq!(group.run(1, || 2), (2, false));
    });
}

/// A clone of the result panics: the caller that made it gets the panic, and the callers without a
/// value get an error.
#[test]
fn a_clone_that_panics() {
    #[derive(Debug)]
    struct Reluctant(Cell<u32>);
    impl Clone for Reluctant {
        fn clone(&self) -> Self {
            self.0.set(self.0.get() + 1);
            assert!(self.0.get() < 2, "expected");
            Reluctant(Cell::new(0))
        }
    }
    support::in_both(|| {
        let group: Group<&str, Reluctant> = Group::new();
        let (stop, leader) = held(&group, || Reluctant(Cell::new(0)));
        let channels: Vec<_> = (0..3)
            .map(|_| group.run_chan("key", || unreachable!("another call runs")))
            .collect();
        drop(stop);
        let payload = leader.join().unwrap_err();
        assert_eq!(message(&*payload), "expected");
        let got = channels.iter().filter(|channel| channel.recv().is_ok());
        assert_eq!(got.count(), 1);
        assert_calls(&group, 0, 0);
    });
}

/// A closure that runs its own key, directly or through another key, gets a panic that says so.
#[test]
fn a_closure_that_would_wait_for_itself() {
    support::in_both(|| {
        let group: Group<i32, i32> = Group::new();
        let inner = |key: i32| catch_unwind(AssertUnwindSafe(|| group.run(key, || 1)));
        let (told, _) = group.run(1, || {
            let payload = inner(1).unwrap_err();
            assert!(message(&*payload).contains("would wait for itself"));
            let (deep, _) = group.run(2, || i32::from(inner(1).is_err()) + inner(3).unwrap().0);
            deep
        });
        assert_eq!(told, 2);
        // The goroutine of `run_chan` is told so, too.
        let same = group.clone();
        let channel = group.run_chan(1, move || same.run(1, || 2).0);
        assert_eq!(channel.recv(), Err(RecvError));
        assert_eq!(group.run(1, || 3), (3, false));
    });
}

/// The hash, comparison, clone and drop of keys and values use the group that calls them.
#[test]
fn keys_and_values_that_come_back() {
    #[derive(Clone)]
    struct Busy(Group<u32, u32>, Arc<Mutex<Option<Group<Busy, Busy>>>>, u32);
    impl Busy {
        /// Uses the outer group, and runs a call in an inner one.
        fn meddle(&self) {
            let outer = self.1.lock().unwrap().clone();
            if let Some(group) = outer {
                assert!(format!("{group:?}").contains("running"));
            }
            self.0.run(self.2, || 1);
        }
    }
    impl Hash for Busy {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.meddle();
            // Puts all keys into one bucket.
            state.write_u8(0);
        }
    }
    impl PartialEq for Busy {
        fn eq(&self, other: &Self) -> bool {
            self.meddle();
            yield_now();
            self.2 == other.2
        }
    }
    impl Eq for Busy {}
    impl Drop for Busy {
        fn drop(&mut self) {
            self.meddle();
        }
    }
    support::in_both(|| {
        let (inner, slot) = (Group::new(), Arc::new(Mutex::new(None)));
        let group: Group<Busy, Busy> = Group::new();
        *slot.lock().unwrap() = Some(group.clone());
        let busy = |n| Busy(inner.clone(), Arc::clone(&slot), n);
        scope(|s| {
            for n in 0..8 {
                go!(s; clone(n) {
                    for round in 0..20 {
                        let key = busy((n + round) % 4);
                        let (value, _) = group.run(key.clone(), || {
                            yield_now();
                            key
                        });
                        assert_eq!(value.2, (n + round) % 4);
                        group.forget(&value);
                    }
                });
            }
        });
        assert_calls(&group, 0, 0);
        *slot.lock().unwrap() = None;
    });
}

/// Keys with equal hashes are told apart.
#[test]
fn equal_hashes() {
    #[derive(PartialEq, Eq)]
    struct Same(u32);
    impl Hash for Same {
        fn hash<H: Hasher>(&self, state: &mut H) {
            state.write_u8(0);
        }
    }
    support::in_both(|| {
        let group: Group<Same, u32> = Group::new();
        let (stop, done) = bounded::<()>(0);
        let channels: Vec<_> = (0..20)
            .map(|n| {
                let done = done.clone();
                group.run_chan(Same(n % 10), move || {
                    let _ = done.recv();
                    n
                })
            })
            .collect();
        assert_calls(&group, 10, 20);
        group.forget(&Same(5));
        assert_calls(&group, 9, 18);
        drop(stop);
        for (n, channel) in channels.into_iter().enumerate() {
            assert_eq!(channel.recv(), Ok((n as u32 % 10, true)));
        }
        until_calls(&group, 0, 0);
    });
}
