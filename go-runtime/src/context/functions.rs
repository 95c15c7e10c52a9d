//! Functions that run once a context has ended.
//!
//! A registered function is an entry in its context's slab of children, under the lock of the
//! context's `state`. The thread that removes the entry owns the function: `cancel` starts it,
//! [`StopFunc::stop`] drops it.

use std::fmt;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Weak};

use super::cancellation::{Cancellation, Child, Place};
use crate::clock;
use crate::goroutine::DelayedSpawn;
use crate::primitives::atomic::{AtomicBool, Ordering};

/// A goroutine that has all its memory except a stack, so that starting it cannot fail. (Boxed,
/// because most children are contexts, which are small.)
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
        // A context that never ends never runs the function.
        drop(f);
        return Ok(StopFunc {
            pending: Pending::Idle(AtomicBool::new(true)),
        });
    };
    let function = Box::new(DelayedSpawn::new(None, f)?);
    let place = Place::nowhere();
    // (Ends the context if its deadline has passed.)
    context.err();
    if let Err((Child::Function(function), _)) = context.register(Child::Function(function), &place)
    {
        start([function]);
    }
    Ok(StopFunc {
        pending: Pending::In(Arc::downgrade(context), place),
    })
}

/// Prevents a function that was given to [`Context::after_func`](super::Context::after_func) from
/// running. Dropping it has no effect.
pub struct StopFunc {
    pending: Pending,
}

enum Pending {
    /// The function is, or was, in the list of this context.
    In(Weak<Cancellation>, Place),
    /// The context cannot end. The flag is `true` until the first call of `stop`.
    Idle(AtomicBool),
}

// Unwind-safe: it gives no access to the function or to anything that the function captures.
impl UnwindSafe for StopFunc {}
impl RefUnwindSafe for StopFunc {}

impl StopFunc {
    /// Prevents the function from running, and drops it. Returns whether this call did so: `false`
    /// means that the function was started (it may still be running: `stop` does not wait for it),
    /// or that an earlier call stopped it.
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
                // (Dropping the function may run a user's `Drop`: no lock is held here.)
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
