//! `errgroup`: the first error counts, all goroutines are waited for, and no more run at once than
//! the limit. Covers golang.org/x/sync's own tests, and more.

use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use go_runtime::channel::{self, Receiver, Sender, TryRecvError};
use go_runtime::context::{self, ContextError};
use go_runtime::errgroup::Group;
use go_runtime::{go, yield_now};

use go_tests::support::{eventually, in_both, in_goroutine};

type Outcome = Result<(), &'static str>;

fn message(panicked: Result<Outcome, Box<dyn std::any::Any + Send>>) -> &'static str {
    panicked.unwrap_err().downcast_ref::<&str>().unwrap()
}

/// TestZeroGroup, except that an error is returned only once.
#[test]
fn the_first_error_counts() {
    in_both(|| {
        for outcomes in [
            &[][..],
            &[Ok(())],
            &[Err("1")],
            &[Err("1"), Ok(())],
            &[Err("1"), Ok(()), Err("2")],
        ] {
            // The group waits for each goroutine before the next one starts.
            let group = Group::new();
            for outcome in outcomes {
                group.go(|| *outcome);
                assert_eq!(group.wait(), *outcome);
            }
            // All goroutines end, in this order, before the caller waits for the group.
            let group = Group::new();
            for outcome in outcomes {
                group.go(|| *outcome);
                eventually(|| format!("{group:?}").contains("active: 0"));
            }
            let first = outcomes.iter().find(|outcome| outcome.is_err());
            assert_eq!(group.wait(), *first.unwrap_or(&Ok(())));
            assert_eq!(group.wait(), Ok(()));
        }
    });
}

/// TestWithContext, TestCancelCause.
#[test]
fn the_context_ends_with_the_group() {
    in_both(|| {
        for outcomes in [
            &[][..],
            &[Ok(())],
            &[Err("doomed")],
            &[Err("doomed"), Ok(())],
        ] {
            let (group, ctx) = Group::with_context(&context::background());
            assert_eq!(ctx.err(), None);
            for outcome in outcomes {
                group.go(|| *outcome);
            }
            let expected = outcomes.iter().find(|outcome| outcome.is_err());
            assert_eq!(group.wait(), *expected.unwrap_or(&Ok(())));
            assert_eq!(ctx.err(), Some(ContextError::Canceled));
        }
    });
}

#[test]
fn the_first_error_ends_the_others() {
    in_both(|| {
        let (group, ctx) = Group::with_context(&context::background().with_value(7));
        for _ in 0..100 {
            let ctx = ctx.clone();
            group.go(move || {
                assert_eq!(ctx.value(), Some(&7));
                assert!(ctx.done().recv().is_err());
                Err("told to end")
            });
        }
        assert_eq!(ctx.err(), None);
        group.go(|| Err("first"));
        assert_eq!(group.wait(), Err("first"));
    });
}

#[test]
fn its_parent_ends_the_context() {
    in_both(|| {
        let (parent, cancel) = context::background().with_cancel_cause();
        let (group, ctx) = Group::with_context(&parent);
        group.go(move || {
            assert!(ctx.done().recv().is_err());
            assert_eq!(ctx.cause().unwrap().to_string(), "from above");
            Err("ended")
        });
        cancel.cancel("from above");
        assert_eq!(group.wait(), Err("ended"));
    });
}

/// Returns a function for a goroutine, which ends when the sender is dropped.
fn held() -> (Sender<()>, impl FnOnce() -> Outcome + Send + 'static) {
    let (release, released): (_, Receiver<()>) = channel::bounded(0);
    let body = move || {
        assert!(released.recv().is_err());
        Ok(())
    };
    (release, body)
}

/// TestTryGo.
#[test]
fn try_go_starts_as_many_as_may_run() {
    in_both(|| {
        let group = Group::new();
        for limit in [42, 1, 5] {
            group.set_limit(limit);
            let running: Vec<_> = (0..limit)
                .map(|_| {
                    let (release, body) = held();
                    assert!(group.try_go(body));
                    release
                })
                .collect();
            let (kept, gone) = channel::bounded::<()>(0);
            assert!(!group.try_go(move || {
                drop(kept);
                Err("it was not to run")
            }));
            assert_eq!(gone.try_recv(), Err(TryRecvError::Disconnected));
            drop(running);
            assert_eq!(group.wait(), Ok(()));
            assert!(group.try_go(|| Ok(())));
            assert_eq!(group.wait(), Ok(()));
        }
        group.set_limit(usize::MAX);
        for _ in 0..100 {
            assert!(group.try_go(|| Err("ran")));
        }
        assert_eq!(group.wait(), Err("ran"));
    });
}

/// TestGoLimit.
#[test]
fn no_more_run_than_may() {
    in_both(|| {
        const LIMIT: usize = 10;
        let group = Group::new();
        group.set_limit(LIMIT);
        let (active, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..1_000 {
            let (active, all) = (Arc::clone(&active), Arc::clone(&all));
            group.go(move || {
                all.fetch_add(1, Ordering::Relaxed);
                let now = active.fetch_add(1, Ordering::Relaxed) + 1;
                yield_now();
                active.fetch_sub(1, Ordering::Relaxed);
                if now > LIMIT { Err(now) } else { Ok(()) }
            });
        }
        assert_eq!(group.wait(), Ok(()));
        assert_eq!(all.load(Ordering::Relaxed), 1_000);
    });
}

#[test]
fn go_waits_for_a_place() {
    in_both(|| {
        let group = Group::new();
        group.set_limit(1);
        let (release, body) = held();
        group.go(body);
        let (told, tell) = channel::unbounded();
        let waiting = {
            let (group, told) = (group.clone(), told.clone());
            go!(move || {
                group.go(move || Ok(()));
                told.send("started").unwrap();
            })
        };
        // The call counts its goroutine before it waits for a slot, so the group's `wait` includes
        // it.
        eventually(|| format!("{group:?}").contains("active: 2"));
        assert_eq!(tell.try_recv(), Err(TryRecvError::Empty));
        drop(release);
        assert_eq!(group.wait(), Ok(()));
        assert_eq!(tell.recv(), Ok("started"));
        waiting.join().unwrap();
        assert_eq!(
            format!("{group:?}"),
            "Group { active: 0, limit: Some(1), .. }"
        );
    });
}

#[test]
fn limits_that_cannot_be() {
    in_both(|| {
        let group = Group::new();
        let refused = catch_unwind(|| group.set_limit(0)).unwrap_err();
        let text = refused.downcast_ref::<&str>().unwrap();
        assert!(text.contains("set_limit(0)"), "{text}");
        let (release, body) = held();
        group.go(body);
        let refused = catch_unwind(|| group.set_limit(3)).unwrap_err();
        let text = refused.downcast_ref::<String>().unwrap();
        assert!(text.contains("set_limit(3): 1 goroutines"), "{text}");
        // The limit is unchanged.
        assert!(group.try_go(|| Ok(())));
        drop(release);
        assert_eq!(group.wait(), Ok(()));
        group.set_limit(3);
        assert!(format!("{group:?}").contains("limit: Some(3)"));
    });
}

#[test]
fn a_panic_comes_out_of_wait() {
    in_both(|| {
        let (group, ctx) = Group::<&str>::with_context(&context::background());
        group.set_limit(1);
        group.go(|| panic!("on purpose"));
        group.go({
            let ctx = ctx.clone();
            move || {
                assert!(ctx.done().recv().is_err());
                Err("an error as well")
            }
        });
        group.go(|| panic!("one more"));
        let panicked = catch_unwind(|| group.wait());
        assert_eq!(message(panicked), "on purpose");
        assert_eq!(ctx.err(), Some(ContextError::Canceled));
        // The group can be used again, and keeps its limit.
        group.go(|| Err("again"));
        assert_eq!(group.wait(), Err("again"));
        assert_eq!(group.wait(), Ok(()));
    });
}

/// A panic counts even after an error.
#[test]
fn a_panic_comes_before_errors() {
    in_both(|| {
        let group = Group::new();
        group.go(|| Err("first"));
        eventually(|| format!("{group:?}").contains("active: 0"));
        group.go(|| panic!("second"));
        assert_eq!(message(catch_unwind(|| group.wait())), "second");
        assert_eq!(group.wait(), Ok(()));
    });
}

#[test]
fn goroutines_start_others() {
    fn grow(group: &Group<u32>, depth: u32, leaves: &Arc<AtomicUsize>) -> Result<(), u32> {
        if depth == 0 {
            leaves.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        for _ in 0..2 {
            let (clone, leaves) = (group.clone(), Arc::clone(leaves));
            group.go(move || grow(&clone, depth - 1, &leaves));
        }
        Ok(())
    }
    in_both(|| {
        let (group, leaves) = (Group::default(), Arc::new(AtomicUsize::new(0)));
        grow(&group, 8, &leaves).unwrap();
        assert_eq!(group.wait(), Ok(()));
        assert_eq!(leaves.load(Ordering::Relaxed), 256);
    });
}

#[test]
fn one_of_those_who_wait_gets_the_error() {
    in_both(|| {
        let group = Group::new();
        let (release, body) = held();
        group.go(body);
        group.go(|| Err("once"));
        let waiting: Vec<_> = (0..10)
            .map(|_| go!(clone(group) { group.wait() }))
            .collect();
        drop(release);
        let results = waiting.into_iter().map(|w| w.join().unwrap());
        let errors: Vec<_> = results.filter_map(Result::err).collect();
        // (A waiter that begins before the others may already have got the error. No two waiters
        // get it.)
        assert_eq!(errors, ["once"]);
    });
}

/// Dropping the last handle cancels the group's context, because no handle is left to wait with.
#[test]
fn dropping_the_last_handle_cancels() {
    in_both(|| {
        let (told, tell) = channel::unbounded();
        let (group, ctx) = Group::<&str>::with_context(&context::background());
        let in_it = ctx.clone();
        group.go(move || {
            assert!(in_it.done().recv().is_err());
            told.send("ended").unwrap();
            Err("lost")
        });
        let clone = group.clone();
        drop(group);
        assert_eq!(ctx.err(), None);
        drop(clone);
        assert_eq!(ctx.err(), Some(ContextError::Canceled));
        assert_eq!(tell.recv(), Ok("ended"));
    });
}

/// The type of the error needs neither `Clone` nor `Error`. Errors that do not count are dropped.
#[test]
fn each_error_is_dropped_once() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    in_both(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let group = Group::new();
        for _ in 0..10 {
            let error = Counted(Arc::clone(&drops));
            group.go(move || Err(error));
        }
        let first = group.wait();
        assert!(first.is_err());
        assert_eq!(drops.load(Ordering::Relaxed), 9);
        drop(first);
        group.go({
            let error = Counted(Arc::clone(&drops));
            move || Err(error)
        });
        eventually(|| format!("{group:?}").contains("active: 0"));
        drop(group);
        eventually(|| drops.load(Ordering::Relaxed) == 11);
    });
}

/// An error panics when it is dropped: the goroutine still leaves the group's count.
#[test]
fn an_error_that_panics_when_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("on purpose");
            }
        }
    }
    in_goroutine(|| {
        let group = Group::new();
        group.set_limit(1);
        group.go(|| Err(Bomb));
        group.go(|| Err(Bomb));
        group.go(|| Ok(()));
        let first = group.wait();
        assert!(first.is_err());
        assert!(catch_unwind(AssertUnwindSafe(move || drop(first))).is_err());
        assert!(group.wait().is_ok());
    });
}

#[test]
fn the_handle_goes_everywhere() {
    fn everywhere<T: Send + Sync + UnwindSafe + RefUnwindSafe + Clone + Default>() {}
    everywhere::<Group<std::io::Error>>();
    // An error that is `Send` but not `Sync`.
    everywhere::<Group<std::cell::Cell<u8>>>();
}
