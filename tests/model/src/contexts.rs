//! The tree of contexts: every descendant is told, no function runs twice, and the error is set if
//! and only if the done channel is closed.

#[path = "../../../go-runtime/src/context/cancellation.rs"]
mod cancellation;
#[path = "../../../go-runtime/src/context/error.rs"]
mod error;

/// A function for the end of a context; it runs on the thread that starts it.
mod functions {
    pub(super) type Function = Box<dyn FnOnce() + Send>;

    pub(super) fn start(functions: impl IntoIterator<Item = Function>) {
        functions.into_iter().for_each(|function| function());
    }
}

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use self::cancellation::{Cancellation, Child, Own, Place};
use self::error::{ContextError, Reason};
use crate::channel::TryRecvError;
use crate::time::wait_for_alarms;
use crate::{check, clock};

fn root() -> Arc<Cancellation> {
    Cancellation::new(None, None)
}

fn below(parent: &Arc<Cancellation>) -> Arc<Cancellation> {
    Cancellation::new(Some(parent), None)
}

fn reason(cause: &'static str) -> Reason {
    let cause: Box<dyn std::error::Error + Send + Sync> = cause.into();
    Reason {
        error: ContextError::Canceled,
        cause: Some(cause.into()),
    }
}

#[track_caller]
fn has_ended_for(context: &Arc<Cancellation>, cause: &str) {
    assert_eq!(context.cause().unwrap().to_string(), cause);
    assert_eq!(context.done().try_recv(), Err(TryRecvError::Disconnected));
}

/// A child that is derived while its parent ends has ended as well, once both threads are done.
#[test]
fn a_child_is_told_or_finds_out() {
    check("contexts, a child and a cancel", 5, || {
        let parent = root();
        let there = Arc::clone(&parent);
        let deriving = thread::spawn(move || {
            let child = below(&there);
            let grandchild = below(&child);
            [child, grandchild]
        });
        parent.cancel(reason("over"));
        for context in deriving.join().unwrap() {
            has_ended_for(&context, "over");
        }
    });
}

/// A child is canceled and dropped while its parent ends.
#[test]
fn a_child_goes_while_its_parent_ends() {
    check("contexts, drop, own cancel and the parent's", 5, || {
        let parent = root();
        let (child, sibling) = (below(&parent), below(&parent));
        let done = child.done().clone();
        let going = thread::spawn(move || {
            child.cancel(reason("own"));
            let cause = child.cause().unwrap().to_string();
            assert!(cause == "own" || cause == "over");
        });
        parent.cancel(reason("over"));
        has_ended_for(&sibling, "over");
        assert!(done.recv().is_err());
        going.join().unwrap();
        // Freed places in the tree are used again: the new child of a new parent has not ended.
        assert!(below(&root()).err().is_none());
    });
}

/// The error and the closed channel appear together, whether the channel is made before the context
/// ends or at the same time.
#[test]
fn the_channel_and_the_error_are_one() {
    for made_before in [true, false] {
        check("contexts, done and cancel", 5, move || {
            let context = root();
            if made_before {
                context.done();
            }
            let there = Arc::clone(&context);
            let asking = thread::spawn(move || {
                let had_ended = there.err().is_some();
                let closed = there.done().try_recv() == Err(TryRecvError::Disconnected);
                assert!(closed || !had_ended);
                assert!(there.err().is_some() || !closed);
                assert!(there.done().recv().is_err());
            });
            context.cancel(reason("over"));
            has_ended_for(&context, "over");
            asking.join().unwrap();
        });
    }
}

/// Exactly one of three things happens: the function runs, or it is removed before, or its
/// registration finds that the context has ended.
#[test]
fn a_function_is_run_or_stopped() {
    check("contexts, a function, its stop and a cancel", 5, || {
        let context = root();
        let runs = Arc::new(AtomicUsize::new(0));
        let (there, counter) = (Arc::clone(&context), Arc::clone(&runs));
        let stopping = thread::spawn(move || {
            let place = Place::nowhere();
            let function = Box::new(move || {
                counter.fetch_add(1, Ordering::Relaxed);
            });
            match there.register(Child::Function(function), &place) {
                Ok(()) => usize::from(there.unregister(&place).is_some()),
                Err((Child::Function(function), _)) => {
                    function();
                    0
                }
                Err((Child::Context(_), _)) => unreachable!("it was a function"),
            }
        });
        context.cancel(Reason::canceled());
        let stopped = stopping.join().unwrap();
        assert_eq!(runs.load(Ordering::Relaxed) + stopped, 1);
    });
}

fn with_a_second() -> Arc<Cancellation> {
    let own = Own {
        deadline: clock::now() + Duration::from_secs(1),
        cause: reason("late").cause,
    };
    Cancellation::new(None, Some(own))
}

/// A context ends either because of its deadline or because it is canceled, and its child ends for
/// the same reason. (The alarm is a thread that may run at any time: see `time.rs`.)
#[test]
fn the_deadline_or_a_cancel() {
    check("contexts, a deadline and a cancel", 5, || {
        let context = with_a_second();
        let child = below(&context);
        context.cancel(reason("over"));
        let cause = context.cause().unwrap().to_string();
        assert!(cause == "over" || cause == "late");
        assert!(child.done().recv().is_err());
        has_ended_for(&child, &cause);
        // The alarms only upgrade weak references, and change nothing.
        wait_for_alarms();
        has_ended_for(&context, &cause);
    });
}

/// Every caller that asks after the deadline finds the context ended, even while another thread is
/// ending it.
#[test]
fn all_see_the_deadline() {
    check("contexts, two threads that read the clock", 3, || {
        let context = with_a_second();
        let child = below(&below(&context));
        clock::PASSED.set(Duration::from_secs(2));
        let there = Arc::clone(&context);
        let asking = thread::spawn(move || has_ended_for(&there, "late"));
        has_ended_for(&child, "late");
        asking.join().unwrap();
        wait_for_alarms();
        clock::PASSED.set(Duration::ZERO);
    });
}
