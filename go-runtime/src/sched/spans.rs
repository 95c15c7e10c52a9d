//! Feature `tracing`: the spans that a goroutine has entered are exited while it is off its stack.
//!
//! Which spans are entered is known to the subscriber alone, which keeps a stack of them for each
//! thread, as a rule (`Registry` of tracing-subscriber does). When a goroutine suspends, the spans
//! on that stack are its own, because every other goroutine of the worker has taken its own off:
//! they are exited from the innermost on, and entered again, from the outermost on, when the
//! goroutine goes on. So the subscriber sees what it sees of a future that is wrapped by
//! `Instrument`.
//!
//! A subscriber is a user's code, which runs here between the moment when a parker is shown to
//! others and the switch. So it must neither park (a second parker of the same goroutine would be
//! woken by the first one's wake-up) nor unwind (the first parker would dangle): it is called in a
//! region that does not park, and its panics end here, reported by the panic hook.

use std::mem;
use std::panic::{self, AssertUnwindSafe};

use smallvec::SmallVec;
use tracing_core::{Dispatch, LevelFilter, dispatcher, span};

use super::worker::Worker;

/// Spans that have been exited, the innermost first, and the subscriber that knows them.
pub(super) struct Exited {
    subscriber: Dispatch,
    spans: SmallVec<[span::Id; 4]>,
}

/// Maximum number of spans to exit: a subscriber that names a current span whatever has been exited
/// would be asked for ever.
const MOST: usize = 1000;

/// Exits all spans that the calling thread is in, if it is in any.
#[inline(always)]
pub(super) fn exit_all() -> Option<Box<Exited>> {
    // Without a subscriber the most verbose level that anything listens to is none.
    if LevelFilter::current() == LevelFilter::OFF {
        None
    } else {
        exit_entered()
    }
}

/// Enters them again.
#[inline(always)]
pub(super) fn enter_again(exited: Option<Box<Exited>>) {
    if let Some(exited) = exited {
        enter_exited(exited);
    }
}

/// Exits the spans whose guards a goroutine has forgotten, when it has ended. No task is current
/// then, so the subscriber is in no goroutine.
pub(crate) fn exit_forgotten() {
    if let Some(exited) = exit_all() {
        call_subscriber(|| drop(exited));
    }
}

#[inline(never)]
fn exit_entered() -> Option<Box<Exited>> {
    let mut exited: Option<Box<Exited>> = None;
    call_subscriber(|| {
        dispatcher::get_default(|subscriber| {
            for _ in 0..MOST {
                let current = subscriber.current_span();
                let Some(span) = current.id() else { break };
                let exited = exited.get_or_insert_with(|| {
                    Box::new(Exited {
                        subscriber: subscriber.clone(),
                        spans: SmallVec::new(),
                    })
                });
                exited.spans.push(span.clone());
                subscriber.exit(span);
            }
        });
    });
    exited
}

#[inline(never)]
fn enter_exited(exited: Box<Exited>) {
    for span in exited.spans.iter().rev() {
        call_subscriber(|| exited.subscriber.enter(span));
    }
    // It may be the last to know the subscriber, whose `Drop` runs then.
    call_subscriber(|| drop(exited));
}

fn call_subscriber(call: impl FnOnce()) {
    let caught = || {
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(call)) {
            // Its own `Drop` could panic as well.
            mem::forget(payload);
        }
    };
    match Worker::current() {
        Some(worker) => worker.without_parking(caught),
        None => caught(),
    }
}
