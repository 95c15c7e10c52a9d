//! `context`: which contexts a cancel or a deadline ends, the cause that they report, and what is
//! left behind. Covers the tests of Go's package too.

mod after_func;
mod as_go;
mod crowds;
mod memory;
mod races;

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use go_runtime::channel::{Receiver, TryRecvError};
use go_runtime::context::{self, Cancel, CancelCause, Context, ContextError, StopFunc};
use go_runtime::{go, select};

use go_tests::support::{child, in_both, in_goroutine};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3_600);

/// Asserts in every way that the context has not ended.
#[track_caller]
fn goes_on(ctx: &Context) {
    assert_eq!(ctx.err(), None);
    assert!(ctx.cause().is_none());
    assert_eq!(ctx.done().try_recv(), Err(TryRecvError::Empty));
}

/// Asserts in every way that the context has ended for this reason.
#[track_caller]
fn has_ended(ctx: &Context, error: ContextError, cause: &str) {
    assert_eq!(ctx.err(), Some(error));
    assert_eq!(ctx.cause().unwrap().to_string(), cause);
    assert_eq!(ctx.done().try_recv(), Err(TryRecvError::Disconnected));
    assert!(ctx.done().recv().is_err());
}

#[track_caller]
fn is_canceled(ctx: &Context) {
    has_ended(ctx, ContextError::Canceled, "context canceled");
}

#[track_caller]
fn is_late(ctx: &Context) {
    has_ended(
        ctx,
        ContextError::DeadlineExceeded,
        "context deadline exceeded",
    );
}

#[test]
fn those_without_an_end() {
    in_both(|| {
        let derived = context::background().with_value(1);
        for ctx in [
            Context::background(),
            Context::todo(),
            context::background(),
            context::todo(),
            derived.without_cancel(),
            derived,
        ] {
            goes_on(&ctx);
            assert_eq!(ctx.deadline(), None);
            assert!(ctx.done().same_channel(context::background().done()));
        }
    });
}

#[test]
fn the_types_go_everywhere() {
    fn everywhere<T: Send + Sync + UnwindSafe + RefUnwindSafe + Clone + 'static>() {}
    everywhere::<Context>();
    everywhere::<Cancel>();
    everywhere::<CancelCause>();
    everywhere::<ContextError>();
    fn not_cloned<T: Send + Sync + UnwindSafe + RefUnwindSafe + 'static>() {}
    not_cloned::<StopFunc>();
    // A context is as small as two pointers, and so is an optional one.
    assert_eq!(size_of::<Context>(), 2 * size_of::<usize>());
}

#[test]
fn debug_says_how_it_is() {
    in_both(|| {
        assert_eq!(
            format!("{:?}", context::background()),
            "Context { err: None, deadline: None, values: 0 }"
        );
        let (ctx, cancel) = context::background().with_value(1).with_cancel_cause();
        let (child, detached) = ctx.with_value("").with_cancel();
        let stop = child.after_func(|| ());
        assert_eq!(format!("{stop:?}"), "StopFunc { .. }");
        assert!(stop.stop());
        assert_eq!(format!("{cancel:?}"), "CancelCause { err: None, .. }");
        assert_eq!(format!("{detached:?}"), "Cancel { err: None, .. }");
        cancel.cancel("x");
        assert_eq!(
            format!("{child:?}"),
            "Context { err: Some(Canceled), deadline: None, values: 2 }"
        );
        assert_eq!(
            format!("{detached:?}"),
            "Cancel { err: Some(Canceled), .. }"
        );
        let (ctx, _cancel) = ctx.with_timeout(LONG);
        assert!(format!("{ctx:?}").contains("deadline: Some("));
    });
}

/// Waiters in many goroutines and on this thread are all told.
#[test]
fn everybody_who_waits_is_told() {
    in_both(|| {
        let (ctx, cancel) = context::background().with_cancel();
        let waiting: Vec<_> = (0..100)
            .map(|i| {
                go!(clone(ctx) {
                    let (child, _cancel) = ctx.with_cancel();
                    let ctx = if i % 2 == 0 { ctx } else { child };
                    select! {
                        recv(ctx.done()) -> message => message.is_err(),
                        default(LONG) => false,
                    }
                })
            })
            .collect();
        let thread = std::thread::spawn({
            let ctx = ctx.clone();
            move || ctx.done().recv().is_err()
        });
        cancel.cancel();
        assert!(waiting.into_iter().all(|waiter| waiter.join().unwrap()));
        assert!(thread.join().unwrap());
        is_canceled(&ctx);
    });
}

#[test]
fn the_last_handle_cancels() {
    in_both(|| {
        let (ctx, cancel) = context::background().with_cancel();
        let other = cancel.clone();
        drop(cancel);
        goes_on(&ctx);
        drop(other);
        is_canceled(&ctx);

        let (ctx, cancel) = context::background().with_cancel_cause();
        let other = cancel.clone();
        drop(other);
        goes_on(&ctx);
        drop(cancel);
        is_canceled(&ctx);

        // `_` binds nothing, so the handle is dropped at once.
        let (ctx, _) = context::background().with_timeout(LONG);
        is_canceled(&ctx);
    });
}

#[test]
fn a_detached_context_ends_otherwise() {
    in_both(|| {
        let (parent, cancel_parent) = context::background().with_cancel();
        let (ctx, cancel) = parent.with_cancel();
        let other = cancel.clone();
        cancel.detach();
        goes_on(&ctx);
        // A detached handle cancels when its `cancel` is called, but not when it is dropped.
        drop(other.clone());
        goes_on(&ctx);
        let (late, cancel) = ctx.with_timeout_cause(Duration::from_millis(1), "slow");
        cancel.detach();
        assert!(late.done().recv().is_err());
        has_ended(&late, ContextError::DeadlineExceeded, "slow");
        goes_on(&ctx);
        other.cancel();
        is_canceled(&ctx);

        let (ctx, cancel) = parent.with_cancel_cause();
        cancel.detach();
        goes_on(&ctx);
        cancel_parent.cancel();
        is_canceled(&ctx);
    });
}

#[test]
fn a_receiver_that_outlives_all_handles_is_told() {
    in_both(|| {
        let (ctx, cancel) = context::background().with_cancel();
        cancel.detach();
        let (child, cancel) = ctx.with_timeout(LONG);
        cancel.detach();
        let done: [Receiver<()>; 2] = [ctx.done().clone(), child.done().clone()];
        drop(ctx);
        // The child keeps its parent alive.
        assert_eq!(done[0].try_recv(), Err(TryRecvError::Empty));
        drop(child);
        for done in done {
            assert!(done.recv().is_err());
        }
    });
}

#[test]
fn the_first_end_stays() {
    in_both(|| {
        let (ctx, cancel) = context::background().with_cancel_cause();
        let (late, cancel_late) = ctx.with_deadline_cause(Instant::now(), "late");
        cancel.cancel("one");
        cancel.cancel("two");
        cancel_late.cancel();
        has_ended(&ctx, ContextError::Canceled, "one");
        has_ended(&late, ContextError::DeadlineExceeded, "late");
        // All callers get the same `Arc`.
        let (a, b) = (ctx.cause().unwrap(), ctx.clone().cause().unwrap());
        assert!(std::sync::Arc::ptr_eq(&a, &b));
    });
}

#[test]
fn children_of_an_ended_one_have_ended() {
    in_both(|| {
        let (ctx, cancel) = context::background().with_cancel_cause();
        cancel.cancel("over");
        let over = |ctx: &Context| has_ended(ctx, ContextError::Canceled, "over");
        over(&ctx.with_value(1));
        over(&ctx.with_cancel().0);
        over(&ctx.with_cancel_cause().0);
        over(&ctx.with_timeout(LONG).0);
        over(&ctx.with_timeout_cause(Duration::ZERO, "late").0);
        over(&ctx.with_deadline(Instant::now()).0);
        goes_on(&ctx.without_cancel());

        let (ctx, _cancel) = context::background().with_timeout_cause(Duration::ZERO, "late");
        has_ended(&ctx.with_cancel().0, ContextError::DeadlineExceeded, "late");
    });
}

#[test]
fn any_time_will_do() {
    in_both(|| {
        let background = context::background();
        let (ctx, _cancel) = background.with_timeout(Duration::ZERO);
        is_late(&ctx);
        let past = Instant::now();
        let (ctx, _cancel) = background.with_deadline(past);
        is_late(&ctx);
        assert_eq!(ctx.deadline(), Some(past));
        let (ctx, cancel) = background.with_timeout(Duration::MAX);
        goes_on(&ctx);
        assert_eq!(ctx.deadline(), None);
        cancel.cancel();
        is_canceled(&ctx);
        let (ctx, _cancel) = background.with_timeout_cause(Duration::MAX, "never");
        goes_on(&ctx);
        // A deadline later than the parent's does not count.
        let (parent, _cancel) = background.with_timeout(LONG);
        let (ctx, _cancel) = parent.with_timeout(Duration::MAX);
        assert_eq!(ctx.deadline(), parent.deadline());
        goes_on(&ctx);
    });
}

#[test]
fn the_earliest_deadline_counts() {
    in_both(|| {
        let soon = Instant::now() + Duration::from_millis(20);
        let (parent, _cancel) = context::background().with_deadline_cause(soon, "soon");
        let (later, _cancel) = parent.with_timeout_cause(LONG, "later");
        let (same, _cancel) = parent.with_deadline_cause(soon, "the same");
        let (sooner, _cancel) = parent.with_timeout_cause(Duration::ZERO, "sooner");
        assert_eq!(later.deadline(), Some(soon));
        has_ended(&sooner, ContextError::DeadlineExceeded, "sooner");
        assert!(same.done().recv().is_err());
        for ctx in [&later, &same, &parent] {
            has_ended(ctx, ContextError::DeadlineExceeded, "soon");
        }
        assert!(Instant::now() >= soon);
    });
}

/// A goroutine that computes sees the deadline even if the alarm's goroutine has not run.
#[test]
fn one_that_computes_sees_the_deadline_itself() {
    in_both(|| {
        for _ in 0..20 {
            let deadline = Instant::now() + Duration::from_micros(500);
            let (parent, _cancel) = context::background().with_deadline_cause(deadline, "enough");
            let (ctx, _cancel) = parent.with_value(1).with_cancel();
            let (below, _cancel) = ctx.with_cancel();
            while Instant::now() < deadline {}
            for ctx in [ctx, parent, below] {
                has_ended(&ctx, ContextError::DeadlineExceeded, "enough");
            }
        }
        let (ctx, _cancel) = context::background().with_timeout(Duration::from_millis(5));
        while ctx.err().is_none() {}
        is_late(&ctx);
    });
}

/// A goroutine that only computes and asks for the error lets the canceling goroutine run on its
/// worker.
#[test]
fn one_that_computes_lets_others_cancel() {
    child::succeed("computes_alone", &[("GOMAXPROCS", "1")]);
}

#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn computes_alone() {
    in_goroutine(|| {
        let (ctx, cancel) = context::background().with_cancel();
        go!(local; move || cancel.cancel());
        while ctx.err().is_none() {}
        is_canceled(&ctx);
    });
}

#[test]
fn values_are_found_by_type() {
    #[derive(Debug, PartialEq)]
    struct Name(&'static str);
    in_both(|| {
        let empty = context::background();
        assert_eq!(empty.value::<Name>(), None);
        let ctx = empty.with_value(Name("a")).with_value(7_u32);
        let (derived, cancel) = ctx.with_cancel();
        let hidden = derived.with_value(Name("b"));
        assert_eq!(hidden.value(), Some(&Name("b")));
        assert_eq!(derived.value(), Some(&Name("a")));
        assert_eq!(hidden.value(), Some(&7_u32));
        assert_eq!(hidden.value::<i32>(), None);
        assert_eq!(hidden.value::<()>(), None);
        assert_eq!(hidden.without_cancel().value(), Some(&Name("b")));
        cancel.cancel();
        is_canceled(&hidden);
        assert_eq!(hidden.value(), Some(&Name("b")));
    });
}

#[test]
fn without_cancel_goes_on() {
    in_both(|| {
        let (ctx, cancel) = context::background().with_timeout(LONG);
        let free = ctx.with_value(1).without_cancel();
        let (child, _cancel) = free.with_cancel();
        cancel.cancel();
        is_canceled(&ctx);
        for ctx in [&free, &child, &free.with_value(2)] {
            goes_on(ctx);
            assert_eq!(ctx.deadline(), None);
        }
        let (ended, _) = free.with_cancel();
        is_canceled(&ended);
        assert_eq!(ended.value(), Some(&1));
    });
}

#[test]
fn errors_say_what_go_says() {
    let both = [ContextError::Canceled, ContextError::DeadlineExceeded];
    assert_eq!(
        both.map(|error| format!("{error} {error:>27}|")),
        [
            "context canceled            context canceled|",
            "context deadline exceeded   context deadline exceeded|"
        ]
    );
    let as_error: Box<dyn std::error::Error> = both[0].into();
    assert_eq!(as_error.downcast_ref(), Some(&ContextError::Canceled));
}
