//! The tests of Go's package `context` (src/context/context_test.go and x_test.go), as far as they
//! apply here.

use std::time::{Duration, Instant};

use go_runtime::context::{self, Cancel, Context, ContextError};
use go_runtime::go;
use go_runtime::sync::WaitGroup;

use super::{LONG, goes_on, has_ended, is_canceled, is_late};

use go_tests::support::in_both;

const SHORT: Duration = Duration::from_millis(2);

/// TestWithCancel, TestParentFinishesChild.
#[test]
fn a_parent_ends_its_children() {
    in_both(|| {
        let (parent, cancel) = context::background().with_cancel();
        let (cancel_child, _stop) = parent.with_cancel();
        let value_child = parent.with_value("value");
        let (timer_child, _stop) = value_child.with_timeout(LONG);
        let all = [&parent, &cancel_child, &value_child, &timer_child];
        all.into_iter().for_each(goes_on);
        cancel.cancel();
        all.into_iter().for_each(is_canceled);
        is_canceled(&parent.with_value("another"));
    });
}

/// TestChildFinishesFirst.
#[test]
fn a_child_does_not_end_its_parent() {
    in_both(|| {
        let (cancelable, _stop) = context::background().with_cancel();
        for parent in [context::background(), cancelable] {
            let (child, cancel) = parent.with_cancel();
            let (sibling, _cancel) = parent.with_cancel();
            goes_on(&child);
            cancel.cancel();
            is_canceled(&child);
            goes_on(&parent);
            goes_on(&sibling);
        }
    });
}

/// TestDeadline, TestTimeout.
#[test]
fn deadlines() {
    in_both(|| {
        let wait = |ctx: &Context| {
            assert!(ctx.done().recv().is_err());
            is_late(ctx);
        };
        let background = context::background();
        let (ctx, _cancel) = background.with_deadline(Instant::now() + SHORT);
        wait(&ctx);
        let (ctx, _cancel) = background.with_timeout(SHORT);
        let (later, _cancel) = ctx.with_value(1).with_timeout(LONG);
        wait(&later);
        wait(&ctx);
        let (ctx, _cancel) = background.with_deadline(Instant::now());
        wait(&ctx);
        let past = Instant::now().checked_sub(Duration::from_millis(1));
        let (ctx, _cancel) = background.with_deadline(past.unwrap_or_else(Instant::now));
        wait(&ctx);
    });
}

/// TestCanceledTimeout.
#[test]
fn a_timeout_that_is_canceled() {
    in_both(|| {
        let (parent, _cancel) = context::background().with_timeout(LONG);
        let (ctx, cancel) = parent.with_timeout(2 * LONG);
        cancel.cancel();
        is_canceled(&ctx);
        goes_on(&parent);
    });
}

/// TestValues; here the keys are types.
#[test]
fn values() {
    struct K1(&'static str);
    struct K2(&'static str);
    struct K3(&'static str);
    #[track_caller]
    fn check(ctx: &Context, k1: &str, k2: &str, k3: &str) {
        assert_eq!(ctx.value::<K1>().map_or("", |k1| k1.0), k1);
        assert_eq!(ctx.value::<K2>().map_or("", |k2| k2.0), k2);
        assert_eq!(ctx.value::<K3>().map_or("", |k3| k3.0), k3);
    }
    in_both(|| {
        let c0 = context::background();
        check(&c0, "", "", "");
        let c1 = c0.with_value(K1("c1k1"));
        check(&c1, "c1k1", "", "");
        let c2 = c1.with_value(K2("c2k2"));
        check(&c2, "c1k1", "c2k2", "");
        let c3 = c2.with_value(K3("c3k3"));
        check(&c3, "c1k1", "c2k2", "c3k3");
        let c4 = c3.with_value(K1(""));
        check(&c4, "", "c2k2", "c3k3");
        check(&c2, "c1k1", "c2k2", "");
    });
}

/// TestSimultaneousCancels: all nodes of a tree are canceled at the same time, in any order.
#[test]
fn everybody_cancels_at_once() {
    in_both(|| {
        let mut all: Vec<(Context, Cancel)> = vec![context::background().with_cancel()];
        for next in 0..25 {
            let parent = all[next].0.clone();
            all.extend((0..4).map(|_| parent.with_cancel()));
        }
        let contexts: Vec<Context> = all.iter().map(|(ctx, _)| ctx.clone()).collect();
        fastrand::shuffle(&mut all);
        let canceling: Vec<_> = all
            .into_iter()
            .map(|(_, cancel)| go!(move || cancel.cancel()))
            .collect();
        for ctx in contexts {
            assert!(ctx.done().recv().is_err());
            assert_eq!(ctx.err(), Some(ContextError::Canceled));
        }
        canceling.into_iter().for_each(|c| c.join().unwrap());
    });
}

/// TestInterlockedCancels.
#[test]
fn parent_and_child_at_once() {
    in_both(|| {
        let (parent, cancel_parent) = context::background().with_cancel();
        let (child, cancel_child) = parent.with_cancel();
        let other = go!(move || {
            goes_on_or_not(&parent);
            cancel_child.cancel();
        });
        cancel_parent.cancel();
        assert!(child.done().recv().is_err());
        other.join().unwrap();
    });
}

fn goes_on_or_not(ctx: &Context) {
    assert!(matches!(ctx.err(), None | Some(ContextError::Canceled)));
}

/// TestLayersCancel, TestLayersTimeout: there are many layers of all kinds, and one of them ends.
#[test]
fn layers() {
    struct Layer<const N: usize>(u64);
    fn layers(by_time: bool, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let timeout = if by_time { 10 * SHORT } else { LONG };
        let mut ctx = context::background();
        let (mut cancels, mut values, mut timers) = (Vec::new(), [0_u64; 2], 0);
        for i in 0..40 {
            match random.u8(..4) {
                0 => {
                    ctx = ctx.with_value(Layer::<0>(i));
                    values[0] = i;
                }
                1 => {
                    ctx = ctx.with_value(Layer::<1>(i));
                    values[1] = i;
                }
                2 => {
                    let (below, cancel) = ctx.with_cancel();
                    (ctx, _) = (below, cancels.push(cancel));
                }
                _ => {
                    let (below, cancel) = ctx.with_timeout(timeout);
                    (ctx, _) = (below, cancels.push(cancel));
                    timers += 1;
                }
            }
        }
        let check = |ctx: &Context| {
            assert_eq!(ctx.value::<Layer<0>>().map_or(0, |l| l.0), values[0]);
            assert_eq!(ctx.value::<Layer<1>>().map_or(0, |l| l.0), values[1]);
        };
        assert!(timers > 0 && !cancels.is_empty(), "seed {seed}");
        check(&ctx);
        if by_time {
            assert!(ctx.done().recv().is_err());
            is_late(&ctx);
        } else {
            goes_on(&ctx);
            cancels[random.usize(..cancels.len())].cancel();
            is_canceled(&ctx);
        }
        check(&ctx);
    }
    in_both(|| {
        for seed in 0..10 {
            layers(false, seed);
        }
        layers(true, 1);
    });
}

/// TestCause.
#[test]
fn causes() {
    const CANCELED: &str = "context canceled";
    const LATE: &str = "context deadline exceeded";
    let canceled = |ctx: &Context, cause| has_ended(ctx, ContextError::Canceled, cause);
    let late = |ctx: &Context, cause| has_ended(ctx, ContextError::DeadlineExceeded, cause);
    let background = context::background();

    let (ctx, cancel) = background.with_cancel_cause();
    cancel.cancel("parent");
    canceled(&ctx, "parent");

    let (ctx, cancel) = background.with_cancel_cause();
    cancel.cancel(ContextError::Canceled);
    cancel.cancel("too late");
    canceled(&ctx, CANCELED);

    // The parent is canceled first and then the child, and the other way round.
    let (parent, cancel_parent) = background.with_cancel_cause();
    let (child, cancel_child) = parent.with_cancel_cause();
    cancel_parent.cancel("parent");
    cancel_child.cancel("child");
    canceled(&parent, "parent");
    canceled(&child, "parent");

    let (parent, cancel_parent) = background.with_cancel_cause();
    let (child, cancel_child) = parent.with_cancel_cause();
    let (grandchild, _cancel) = child.with_value(1).with_cancel();
    cancel_child.cancel("child");
    cancel_parent.cancel("parent");
    canceled(&parent, "parent");
    canceled(&child, "child");
    canceled(&grandchild, "child");

    // A plain cancel of the parent or of the child.
    let (parent, cancel_parent) = background.with_cancel();
    let (child, cancel_child) = parent.with_cancel_cause();
    cancel_parent.cancel();
    cancel_child.cancel("child");
    canceled(&child, CANCELED);
    let (parent, cancel_parent) = background.with_cancel_cause();
    let (child, _cancel) = parent.with_cancel();
    cancel_parent.cancel("parent");
    canceled(&child, "parent");

    // Deadlines.
    let (ctx, _cancel) = background.with_timeout(Duration::ZERO);
    late(&ctx, LATE);
    let (ctx, cancel) = background.with_timeout(LONG);
    cancel.cancel();
    canceled(&ctx, CANCELED);
    let (ctx, _cancel) = background.with_timeout_cause(Duration::ZERO, "slow");
    late(&ctx, "slow");
    let (ctx, cancel) = background.with_timeout_cause(LONG, "slow");
    cancel.cancel();
    canceled(&ctx, CANCELED);
    let (ctx, _cancel) = background.with_timeout_cause(SHORT, "outer");
    let (inner, _cancel) = ctx.with_timeout_cause(LONG, "inner");
    assert!(inner.done().recv().is_err());
    late(&inner, "outer");
    let (ctx, cancel) = background.with_cancel_cause();
    let (inner, _cancel) = ctx.with_timeout_cause(LONG, "slow");
    cancel.cancel("outer");
    canceled(&inner, "outer");
    let (ctx, cancel) = background.with_timeout_cause(LONG, "slow");
    let (inner, cancel_inner) = ctx.with_cancel_cause();
    cancel_inner.cancel("inner");
    cancel.cancel();
    canceled(&inner, "inner");

    // No cause gets past a `without_cancel`.
    let (ctx, cancel) = background.with_cancel_cause();
    let free = ctx.without_cancel();
    let (child, cancel_child) = free.with_cancel_cause();
    cancel.cancel("outer");
    goes_on(&free);
    goes_on(&child);
    cancel_child.cancel("child");
    canceled(&child, "child");
}

/// TestCauseRace: when the end is seen, so is the cause.
#[test]
fn the_cause_is_there_with_the_end() {
    in_both(|| {
        for _ in 0..100 {
            let (ctx, cancel) = context::background().with_cancel_cause();
            let other = go!(move || cancel.cancel("now"));
            let cause = loop {
                if let Some(cause) = ctx.cause() {
                    break cause;
                }
                go_runtime::yield_now();
            };
            assert_eq!(cause.to_string(), "now");
            other.join().unwrap();
        }
    });
}

/// TestAfterFuncNotCalledAfterStop for many functions, with a `WaitGroup`.
/// TestAfterFuncCalledAfterCancel and its siblings are in `after_func`.
#[test]
fn functions_that_are_stopped_or_run() {
    in_both(|| {
        let group = std::sync::Arc::new(WaitGroup::new());
        let (ctx, cancel) = context::background().with_cancel();
        group.add(50);
        for i in 0..100 {
            let in_it = std::sync::Arc::clone(&group);
            let stop = ctx.after_func(move || in_it.done());
            if i % 2 == 0 {
                assert!(stop.stop());
            }
        }
        cancel.cancel();
        // More than 50 calls would panic in `done`.
        group.wait();
    });
}
