//! Races of two operations: each effect happens once, and no waiter or child is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use go_runtime::channel;
use go_runtime::context::{self, ContextError};
use go_runtime::go;

use super::{LONG, is_canceled};

use go_tests::support::{at_several_gomaxprocs, eventually, in_goroutine, on_thread};

const ROUNDS: usize = if cfg!(debug_assertions) { 300 } else { 3_000 };

#[test]
fn at_one_two_and_four_workers() {
    at_several_gomaxprocs(&["races::round_"]);
}

/// Runs `test` many times, in a goroutine and on a thread.
fn rounds(test: fn(usize)) {
    in_goroutine(move || (0..ROUNDS).for_each(test));
    on_thread(move || (0..ROUNDS).for_each(test));
}

/// A child that is derived while its parent ends has ended when both goroutines are done.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn round_cancel_and_children() {
    rounds(|_| {
        let (parent, cancel) = context::background().with_cancel_cause();
        let deriving: Vec<_> = (0..2)
            .map(|_| {
                let parent = parent.clone();
                go!(move || {
                    let mut all = Vec::new();
                    for _ in 0..8 {
                        let (child, cancel) = parent.with_cancel();
                        let (below, cancel_below) = child.with_timeout(LONG);
                        all.extend([(child, cancel), (below, cancel_below)]);
                        go_runtime::yield_now();
                    }
                    all
                })
            })
            .collect();
        go_runtime::yield_now();
        cancel.cancel("over");
        for all in deriving {
            for (ctx, _cancel) in all.join().unwrap() {
                super::has_ended(&ctx, ContextError::Canceled, "over");
            }
        }
    });
}

/// Contexts are dropped while a cancel ends them. The waiters are told by the cancel or by the
/// drop.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn round_cancel_and_drop() {
    rounds(|_| {
        let (parent, cancel) = context::background().with_cancel();
        let (mut receivers, mut children) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let (child, cancel) = parent.with_timeout(LONG);
            cancel.detach();
            let (below, cancel) = child.with_cancel();
            cancel.detach();
            receivers.extend([child.done().clone(), below.done().clone()]);
            children.extend([child, below]);
        }
        let dropping = go!(move || {
            for child in children {
                drop(child);
                go_runtime::yield_now();
            }
        });
        let canceling = go!(move || cancel.cancel());
        for done in receivers {
            assert!(done.recv().is_err());
        }
        dropping.join().unwrap();
        canceling.join().unwrap();
        is_canceled(&parent);
    });
}

/// Either the deadline or the cancel ends the context for good, and its descendants for the same
/// reason.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn round_deadline_and_cancel() {
    rounds(|round| {
        let deadline = Instant::now() + Duration::from_micros(20 + round as u64 % 100);
        let (ctx, cancel) = context::background().with_deadline_cause(deadline, "late");
        let (child, _cancel) = ctx.with_cancel();
        let canceling = go!(move || {
            while Instant::now() < deadline {
                go_runtime::yield_now();
            }
            cancel.cancel();
        });
        assert!(child.done().recv().is_err());
        let (error, cause) = (child.err().unwrap(), child.cause().unwrap().to_string());
        match error {
            ContextError::Canceled => assert_eq!(cause, "context canceled"),
            ContextError::DeadlineExceeded => assert_eq!(cause, "late"),
        }
        canceling.join().unwrap();
        assert_eq!(ctx.err(), Some(error));
        assert_eq!(ctx.cause().unwrap().to_string(), cause);
        assert_eq!(child.err(), Some(error));
    });
}

/// Several goroutines ask for the error while the deadline passes, at several places of a chain.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn round_deadline_and_those_who_ask() {
    rounds(|round| {
        let time = Duration::from_micros(round as u64 % 100);
        let (ctx, _cancel) = context::background().with_timeout_cause(time, "late");
        let (child, _cancel) = ctx.with_cancel();
        let (below, _cancel) = child.with_timeout(LONG);
        let asking = [ctx.clone(), child, below].map(|ctx| {
            go!(move || {
                while ctx.err().is_none() {
                    go_runtime::yield_now();
                }
                (ctx.err(), ctx.cause().unwrap().to_string())
            })
        });
        for asked in asking {
            let (error, cause) = asked.join().unwrap();
            assert_eq!(error, Some(ContextError::DeadlineExceeded));
            assert_eq!(cause, "late");
        }
    });
}

/// Either a function runs once, or its handle reports that it was stopped, but not both.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn round_stop_and_fire() {
    rounds(|_| {
        let ran = Arc::new(AtomicUsize::new(0));
        let (alive, all_gone) = channel::bounded::<()>(0);
        let (ctx, cancel) = context::background().with_cancel();
        let stops: Vec<_> = (0..8)
            .map(|_| {
                let (ran, alive) = (Arc::clone(&ran), alive.clone());
                ctx.after_func(move || {
                    ran.fetch_add(1, Ordering::Relaxed);
                    drop(alive);
                })
            })
            .collect();
        drop(alive);
        let stopping = go!(move || stops.iter().filter(|stop| stop.stop()).count());
        let canceling = go!(move || cancel.cancel());
        let stopped = stopping.join().unwrap();
        canceling.join().unwrap();
        // Each function has run or been dropped by now.
        assert!(all_gone.recv().is_err());
        assert_eq!(ran.load(Ordering::Relaxed) + stopped, 8);
    });
}

/// A function that is added while the context ends runs once.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn round_functions_and_cancel() {
    rounds(|_| {
        let (ran, count) = channel::unbounded();
        let (ctx, cancel) = context::background().with_cancel();
        let adding: Vec<_> = (0..2)
            .map(|_| {
                let (ctx, ran) = (ctx.clone(), ran.clone());
                go!(move || {
                    for _ in 0..4 {
                        let ran = ran.clone();
                        ctx.after_func(move || ran.send(()).unwrap());
                    }
                })
            })
            .collect();
        drop(ran);
        cancel.cancel();
        adding.into_iter().for_each(|a| a.join().unwrap());
        assert_eq!(count.iter().count(), 8);
    });
}

/// The last handle ends the context, while others are cloned and dropped.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn round_clones_of_a_handle() {
    rounds(|_| {
        let (ctx, cancel) = context::background().with_cancel();
        let holding = Arc::new(AtomicBool::new(true));
        let others: Vec<_> = (0..3)
            .map(|_| {
                let (cancel, holding, ctx) = (cancel.clone(), Arc::clone(&holding), ctx.clone());
                go!(move || {
                    for _ in 0..8 {
                        drop(cancel.clone());
                    }
                    // The test still holds a handle, or the context may have ended.
                    assert!(ctx.err().is_none() || !holding.load(Ordering::Relaxed));
                })
            })
            .collect();
        others.into_iter().for_each(|o| o.join().unwrap());
        assert_eq!(ctx.err(), None);
        holding.store(false, Ordering::Relaxed);
        drop(cancel);
        is_canceled(&ctx);
    });
}

/// When `cancel` returns all descendants have ended, unless another goroutine is ending them.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn round_all_have_ended_when_cancel_returns() {
    rounds(|_| {
        let (root, cancel) = context::background().with_cancel();
        let (ctx, _cancel) = root.with_cancel();
        let stop = Arc::new(AtomicBool::new(false));
        // Other contexts are made and dropped meanwhile.
        let beside = go!(clone(root, stop) {
            while !stop.load(Ordering::Relaxed) {
                let (other, cancel) = root.with_cancel();
                drop(if fastrand::bool() { other } else { other.with_cancel().0 });
                cancel.cancel();
                go_runtime::yield_now();
            }
        });
        let below: Vec<_> = (0..8).map(|_| ctx.with_cancel()).collect();
        cancel.cancel();
        is_canceled(&ctx);
        below.iter().for_each(|(ctx, _)| is_canceled(ctx));
        stop.store(true, Ordering::Relaxed);
        beside.join().unwrap();
        let weak = Arc::downgrade(&stop);
        drop(stop);
        eventually(|| weak.strong_count() == 0);
    });
}

/// The done channel is made when it is first asked for, which may be while the context ends.
#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn round_done_and_cancel() {
    rounds(|_| {
        let (ctx, cancel) = context::background().with_cancel();
        let asking: Vec<_> = (0..3)
            .map(|_| {
                go!(clone(ctx) {
                    let had_ended = ctx.err().is_some();
                    // The channel is closed if and only if the error is set.
                    let closed = ctx.done().try_recv().is_err_and(|e| e.is_disconnected());
                    assert!(closed || !had_ended);
                    assert!(ctx.err().is_some() || !closed);
                    assert!(ctx.done().recv().is_err());
                    assert!(ctx.err().is_some());
                })
            })
            .collect();
        cancel.cancel();
        assert!(ctx.done().try_recv().is_err_and(|e| e.is_disconnected()));
        asking.into_iter().for_each(|a| a.join().unwrap());
    });
}
