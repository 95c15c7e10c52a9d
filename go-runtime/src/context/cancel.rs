//! The handles that cancel a context: [`Cancel`], [`CancelCause`] and, for the crate's own use,
//! `WeakCancel`.
//!
//! A [`Cancellation`] counts its handles, separately from the references to it. Dropping the last
//! handle cancels the context; `detach` leaves the count one too high, so that no drop does.

use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
#[cfg(unix)]
use std::sync::Weak;

use super::cancellation::Cancellation;
use super::error::{Cause, ContextError, Reason};
use crate::primitives::atomic::Ordering;

/// A counted handle to a context. Dropping the last handle cancels the context.
struct Handle {
    cancellation: Arc<Cancellation>,
}

impl Handle {
    /// Gives up this handle without canceling: the count stays one too high, so that no handle is
    /// ever the last.
    fn detach(&self) {
        self.count();
    }

    fn count(&self) {
        // As in `Arc`, the process aborts long before leaked clones could make the count overflow.
        if self.cancellation.handles.fetch_add(1, Ordering::Relaxed) > usize::MAX / 2 {
            std::process::abort();
        }
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        self.count();
        Handle {
            cancellation: Arc::clone(&self.cancellation),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.cancellation.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.cancellation.cancel(Reason::canceled());
        }
    }
}

/// Cancels a context: when [`cancel`](Cancel::cancel) is called, or when the last clone is dropped.
/// Go's `CancelFunc` together with its `defer cancel()`.
///
/// Bind it to a name. `let (ctx, _) = parent.with_cancel()` drops it, and so cancels the context,
/// at the end of that statement; a name that begins with an underscore keeps it until the end of
/// the block:
///
/// ```
/// use go_runtime::context;
///
/// let (ctx, _) = context::background().with_cancel();
/// assert!(ctx.err().is_some());
///
/// let (ctx, _cancel) = context::background().with_cancel();
/// assert!(ctx.err().is_none());
/// ```
///
/// To leave a context to its parent and its deadline, [`detach`](Cancel::detach) the handle.
#[must_use = "the context is canceled when its last `Cancel` is dropped: keep it (as `_cancel`, \
              say), or call `detach()`"]
#[derive(Clone)]
pub struct Cancel {
    handle: Handle,
}

/// A [`Cancel`] that also gives the reason. Go's `CancelCauseFunc`.
///
/// Dropping the last clone cancels without a cause, as [`Cancel::cancel`] does:
/// [`Context::cause`](super::Context::cause) is then [`ContextError::Canceled`].
#[must_use = "the context is canceled when its last `CancelCause` is dropped: keep it (as \
              `_cancel`, say), or call `detach()`"]
#[derive(Clone)]
pub struct CancelCause {
    handle: Handle,
}

// Unwind-safe: a node changes as a whole, under its lock, where no user code runs.
impl UnwindSafe for Cancel {}
impl RefUnwindSafe for Cancel {}
impl UnwindSafe for CancelCause {}
impl RefUnwindSafe for CancelCause {}

impl Cancel {
    pub(super) fn new(cancellation: Arc<Cancellation>) -> Cancel {
        Cancel {
            handle: Handle { cancellation },
        }
    }

    /// Cancels the context and all contexts derived from it. Contexts that have ended already stay
    /// as they are.
    ///
    /// When this call returns, all of them have ended, except those that another thread is
    /// canceling at the same moment, which end very soon. The call never blocks.
    ///
    /// ```
    /// use go_runtime::{context::{self, ContextError}, go};
    ///
    /// let (ctx, cancel) = context::background().with_cancel();
    /// let child = go!(clone(ctx) { ctx.done().recv() });
    /// cancel.cancel();
    /// assert!(child.join().unwrap().is_err());
    /// assert_eq!(ctx.err(), Some(ContextError::Canceled));
    /// ```
    pub fn cancel(&self) {
        self.handle.cancellation.cancel(Reason::canceled());
    }

    /// Drops this handle without canceling the context. The context can still end by its parent, by
    /// its deadline, or by a call of `cancel` on another clone; but dropping the other clones no
    /// longer cancels it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::context;
    ///
    /// let (ctx, cancel) = context::background().with_timeout(Duration::from_secs(60));
    /// cancel.detach();
    /// assert!(ctx.err().is_none());
    /// ```
    pub fn detach(self) {
        self.handle.detach();
    }
}

impl CancelCause {
    pub(super) fn new(cancellation: Arc<Cancellation>) -> CancelCause {
        CancelCause {
            handle: Handle { cancellation },
        }
    }

    /// Cancels the context and all contexts derived from it, like [`Cancel::cancel`], with `cause`
    /// as the reason. Contexts that have ended already keep their causes.
    ///
    /// ```
    /// use go_runtime::context::{self, ContextError};
    ///
    /// let (ctx, cancel) = context::background().with_cancel_cause();
    /// cancel.cancel("the client has hung up");
    /// assert_eq!(ctx.err(), Some(ContextError::Canceled));
    /// assert_eq!(ctx.cause().unwrap().to_string(), "the client has hung up");
    /// ```
    pub fn cancel(&self, cause: impl Into<Box<dyn Error + Send + Sync>>) {
        let cause = Cause::from(cause.into());
        self.handle.cancellation.cancel(Reason {
            error: ContextError::Canceled,
            cause: Some(cause),
        });
    }

    /// Detaches the handle, like [`detach`](CancelCause::detach), and returns a weak handle that
    /// can cancel the context as long as other references keep it alive.
    #[cfg(unix)]
    pub(crate) fn downgrade(self) -> WeakCancel {
        self.handle.detach();
        WeakCancel(Arc::downgrade(&self.handle.cancellation))
    }

    /// Drops this handle without canceling the context, like [`Cancel::detach`].
    ///
    /// ```
    /// let (ctx, cancel) = go_runtime::context::background().with_cancel_cause();
    /// cancel.detach();
    /// assert!(ctx.err().is_none());
    /// ```
    pub fn detach(self) {
        self.handle.detach();
    }
}

/// A [`CancelCause`] that does not keep its context alive, and whose drop does not cancel it.
#[cfg(unix)]
#[derive(Clone)]
pub(crate) struct WeakCancel(Weak<Cancellation>);

#[cfg(unix)]
impl WeakCancel {
    /// Cancels the context like [`CancelCause::cancel`], if it still exists.
    pub(crate) fn cancel(&self, cause: impl Into<Box<dyn Error + Send + Sync>>) {
        if let Some(cancellation) = self.0.upgrade() {
            cancellation.cancel(Reason {
                error: ContextError::Canceled,
                cause: Some(Cause::from(cause.into())),
            });
        }
    }
}

fn fmt_handle(name: &str, handle: &Handle, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name)
        .field("err", &handle.cancellation.status())
        .finish_non_exhaustive()
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_handle("Cancel", &self.handle, f)
    }
}

impl fmt::Debug for CancelCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_handle("CancelCause", &self.handle, f)
    }
}
