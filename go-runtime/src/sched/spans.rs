//! Feature `tracing`: the spans that a goroutine has entered are exited while the goroutine is
//! suspended.
//!
//! Only the subscriber knows which spans are entered. As a rule it keeps a stack of them for each
//! thread, as `Registry` of tracing-subscriber does. When a goroutine suspends, the spans on that
//! stack are the goroutine's own, because every other goroutine of the worker has taken its own
//! spans off. The suspending goroutine exits its spans from the innermost to the outermost; when
//! it continues, it enters them again from the outermost to the innermost. So the subscriber sees
//! what it would see of a future wrapped by `Instrument`.
//!
//! A subscriber is user code, which runs here between the moment when a parker becomes visible to
//! other threads and the switch. So the subscriber must neither park (the first parker's wake-up
//! would wake a second parker of the same goroutine) nor unwind (the first parker would dangle).
//! Hence it is called in a region that does not park, and its panics are caught here, after the
//! panic hook has reported them.

use std::mem;
use std::panic::{self, AssertUnwindSafe};

use smallvec::SmallVec;
use tracing_core::{Dispatch, LevelFilter, dispatcher, span};

use super::worker::Worker;

/// Spans that have been exited, the innermost first, and the subscriber that manages them.
pub(super) struct Exited {
    subscriber: Dispatch,
    spans: SmallVec<[span::Id; 4]>,
}

/// Maximum number of spans to exit: a subscriber that reports a current span no matter how many
/// have been exited would otherwise be asked without end.
const MOST: usize = 1000;

/// Exits all spans that the calling thread has entered. Returns `None` if there are none.
#[inline(always)]
pub(super) fn exit_all() -> Option<Box<Exited>> {
    // Without a subscriber the maximum level is `OFF`.
    if LevelFilter::current() == LevelFilter::OFF {
        None
    } else {
        exit_entered()
    }
}

/// Enters the exited spans again.
#[inline(always)]
pub(super) fn enter_again(exited: Option<Box<Exited>>) {
    if let Some(exited) = exited {
        enter_exited(exited);
    }
}

/// Exits the spans whose guards an ended goroutine leaked by `mem::forget`. No task is current at
/// that time, so the subscriber does not run within a goroutine.
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
    // `exited` may hold the last handle to the subscriber, whose `Drop` then runs here.
    call_subscriber(|| drop(exited));
}

fn call_subscriber(call: impl FnOnce()) {
    let caught = || {
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(call)) {
            // The payload is leaked, because its own `Drop` could panic as well.
            mem::forget(payload);
        }
    };
    match Worker::current() {
        Some(worker) => worker.without_parking(caught),
        None => caught(),
    }
}
