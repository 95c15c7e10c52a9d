//! Functions that run once a context has ended.
//!
//! A function lies in its context's list of those to be told, and is run or dropped by whoever
//! takes it out.

use std::fmt;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Weak};

use super::cancellation::{Cancellation, Child, Place};
use crate::clock;
use crate::goroutine::DelayedSpawn;
use crate::primitives::atomic::{AtomicBool, Ordering};

/// A goroutine that has its memory, but for a stack: it cannot fail to start. (In a box, for most
/// children are contexts, and small.)
pub(super) type Function = Box<DelayedSpawn>;

pub(super) fn start(functions: impl IntoIterator<Item = Function>) {
    for function in functions {
        function.reset(Some(clock::now()));
    }
}

#[track_caller]
pub(super) fn after(
    context: Option<&Arc<Cancellation>>,
    f: impl FnOnce() + Send + 'static,
) -> io::Result<StopFunc> {
    let Some(context) = context else {
        // It will not run.
        drop(f);
        return Ok(StopFunc {
            pending: Pending::Idle(AtomicBool::new(true)),
        });
    };
    let function = Box::new(DelayedSpawn::new(None, f)?);
    let place = Place::nowhere();
    // (The clock may have ended it.)
    context.err();
    if let Err((Child::Function(function), _)) = context.register(Child::Function(function), &place)
    {
        start([function]);
    }
    Ok(StopFunc {
        pending: Pending::In(Arc::downgrade(context), place),
    })
}

/// Keeps a function that was given to [`Context::after_func`](super::Context::after_func) from
/// running. Dropping it does not.
pub struct StopFunc {
    pending: Pending,
}

enum Pending {
    /// It is (or was) in the list of this context.
    In(Weak<Cancellation>, Place),
    /// Its context cannot end; whether nobody has stopped it yet.
    Idle(AtomicBool),
}

// Nothing of a user's is seen through it.
impl UnwindSafe for StopFunc {}
impl RefUnwindSafe for StopFunc {}

impl StopFunc {
    /// Keeps the function from running, and drops it. `true`: it has not run, and will not, because
    /// of this call. `false`: it has been started (and may still be running: this does not wait for
    /// it), or an earlier call has stopped it.
    ///
    /// ```
    /// use go_runtime::context;
    /// let (ctx, cancel) = context::background().with_cancel();
    /// let stop = ctx.after_func(|| unreachable!());
    /// assert!(stop.stop());
    /// assert!(!stop.stop());
    /// cancel.cancel();
    /// ```
    pub fn stop(&self) -> bool {
        match &self.pending {
            Pending::In(context, place) => {
                let function = context
                    .upgrade()
                    .and_then(|context| context.unregister(place));
                // (A user's `Drop`s, perhaps: no lock is held.)
                function.is_some()
            }
            Pending::Idle(first) => first.swap(false, Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for StopFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("StopFunc { .. }")
    }
}
