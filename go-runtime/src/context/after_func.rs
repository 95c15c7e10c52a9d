//! Functions that run once a context has ended.
//!
//! A function lies in its context's list of those to be told, and is run or dropped by whoever takes it out.

use std::fmt;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Weak};
use std::thread;

use super::cancellation::{Cancellation, Child, Place};
use crate::goroutine::Builder;
use crate::primitives::atomic::{AtomicBool, Ordering};

pub(super) type Function = Box<dyn FnOnce() + Send + 'static>;

/// Starts each in a goroutine of its own.
///
/// # Panics
/// If one cannot be started, after the others have been, unless the caller is unwinding anyway.
pub(super) fn start(functions: impl IntoIterator<Item = Function>) {
    let mut refused: Option<io::Error> = None;
    for function in functions {
        if let Err(error) = Builder::new().spawn(function) {
            refused = Some(error);
        }
    }
    if let Some(error) = refused
        && !thread::panicking()
    {
        panic!("a context has ended, but a function given to its after_func cannot run: {error}");
    }
}

pub(super) fn after(context: Option<&Arc<Cancellation>>, f: Function) -> StopFunc {
    let Some(context) = context else {
        // It will not run.
        drop(f);
        return StopFunc {
            pending: Pending::Idle(AtomicBool::new(true)),
        };
    };
    let place = Place::nowhere();
    // (The clock may have ended it.)
    context.err();
    if let Err((Child::Function(f), _)) = context.register(Child::Function(f), &place) {
        start([f]);
    }
    StopFunc {
        pending: Pending::In(Arc::downgrade(context), place),
    }
}

/// Keeps a function that was given to [`Context::after_func`](super::Context::after_func) from running. Dropping it does not.
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
    /// Keeps the function from running, and drops it. `true`: it has not run, and will not, because of this call. `false`: it has been
    /// started (and may still be running: this does not wait for it), or an earlier call has stopped it.
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
