//! Ended contexts leave nothing behind: no goroutine, no value, no function, no cause.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use go_runtime::channel;
use go_runtime::context::{self, Context};
use go_runtime::{go, num_goroutines};

use super::LONG;

use go_tests::support::{child, eventually, in_both, in_goroutine, on_thread};

/// A token that is counted by its `Arc`'s references.
#[derive(Debug, Clone)]
struct Token(#[expect(dead_code, reason = "its references are counted")] Arc<()>);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token")
    }
}

impl Error for Token {}

/// Asserts that all tokens that `make` has made are dropped.
#[track_caller]
fn leaves_none(make: impl FnOnce(&dyn Fn() -> Token)) {
    let tokens = Arc::new(());
    make(&|| Token(Arc::clone(&tokens)));
    eventually(|| Arc::strong_count(&tokens) == 1);
}

#[test]
fn nothing_is_left_of_contexts_that_were_dropped() {
    in_both(|| {
        leaves_none(|token| {
            let (ctx, cancel) = context::background()
                .with_value(token())
                .with_cancel_cause();
            let (child, _cancel) = ctx.with_value(token()).with_timeout_cause(LONG, token());
            let mine = token();
            ctx.after_func(move || drop(mine));
            let mine = token();
            child.after_func(move || drop(mine));
            cancel.cancel(token());
            let clone = child.clone();
            drop((ctx, child));
            assert!(clone.value::<Token>().is_some());
            assert!(clone.cause().unwrap().is::<Token>());
        });
    });
}

#[test]
fn nothing_is_left_of_contexts_that_never_ended() {
    in_both(|| {
        leaves_none(|token| {
            let (ctx, cancel) = context::background()
                .with_value(token())
                .with_timeout_cause(LONG, token());
            let (child, cancel_child) = ctx.with_timeout_cause(LONG, token());
            cancel.detach();
            cancel_child.detach();
            let mine = token();
            let stop = child.after_func(move || drop(mine));
            assert!(stop.stop());
        });
    });
}

/// The function owns its context, and the context owns the function, until the end breaks this
/// cycle.
#[test]
fn a_circle_is_broken_by_the_end() {
    in_both(|| {
        leaves_none(|token| {
            let (ctx, cancel) = context::background().with_value(token()).with_cancel();
            let clone = ctx.clone();
            let stop = ctx.after_func(move || drop(clone));
            drop(ctx);
            drop(cancel);
            assert!(!stop.stop());
        });
        leaves_none(|token| {
            let (ctx, cancel) = context::background()
                .with_value(token())
                .with_timeout(Duration::from_millis(1));
            cancel.detach();
            let clone = ctx.clone();
            ctx.after_func(move || drop(clone));
        });
    });
}

/// A cause that comes too late is dropped at once.
#[test]
fn causes_that_come_too_late() {
    in_both(|| {
        leaves_none(|token| {
            let (ctx, cancel) = context::background().with_cancel_cause();
            cancel.cancel("first");
            let tokens = token();
            cancel.cancel(tokens.clone());
            let (ctx, _cancel) = ctx.with_timeout_cause(LONG, tokens.clone());
            assert_eq!(ctx.cause().unwrap().to_string(), "first");
            let (ctx, _cancel) = context::background().with_timeout_cause(Duration::MAX, tokens);
            assert!(ctx.err().is_none());
        });
    });
}

/// A parent that lives for long keeps nothing of its ended children.
#[test]
fn a_parent_keeps_nothing_of_its_children() {
    in_both(|| {
        let (parent, _cancel) = context::background().with_cancel();
        for i in 0..1_000 {
            leaves_none(|token| {
                let (child, cancel) = parent.with_value(token()).with_timeout_cause(LONG, token());
                let mine = token();
                let stop = child.after_func(move || drop(mine));
                match i % 3 {
                    0 => cancel.cancel(),
                    1 => drop(cancel),
                    _ => {
                        cancel.detach();
                        assert!(stop.stop());
                    }
                }
            });
        }
    });
}

/// Runs in a process of its own, as it counts goroutines.
#[test]
fn goroutines_are_back_to_what_they_were() {
    child::succeed_with_one_and_two(&["memory::goroutines_are_counted"]);
}

#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn goroutines_are_counted() {
    let turn = |before: usize| {
        assert_eq!(num_goroutines(), before);
        let (parent, cancel) = context::background().with_cancel();
        let children: Vec<Context> = (0..100)
            .map(|i| {
                let (ctx, cancel) = parent.with_timeout(LONG);
                if i % 2 == 0 {
                    cancel.detach();
                } else {
                    drop(cancel);
                }
                ctx.after_func(|| ());
                ctx
            })
            .collect();
        let (tx, rx) = channel::unbounded();
        let stops: Vec<_> = (0..100)
            .map(|_| {
                let tx = tx.clone();
                parent.after_func(move || tx.send(()).unwrap())
            })
            .collect();
        // A pending function is no goroutine; the goroutines of functions that have run end soon.
        eventually(|| num_goroutines() == before);
        assert!(stops[..50].iter().all(|stop| stop.stop()));
        drop(tx);
        drop(children);
        cancel.cancel();
        assert_eq!(rx.iter().count(), 50);
        eventually(|| num_goroutines() == before);
    };
    in_goroutine(move || turn(1));
    eventually(|| num_goroutines() == 0);
    on_thread(move || turn(0));
    // A goroutine that waits is counted until it has ended.
    let (ctx, cancel) = context::background().with_timeout(LONG);
    let waiting = go!(clone(ctx) { ctx.done().recv() });
    assert_eq!(num_goroutines(), 1);
    cancel.cancel();
    assert!(waiting.join().unwrap().is_err());
    assert_eq!(num_goroutines(), 0);
}
