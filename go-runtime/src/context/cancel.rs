//! The handles that cancel a context.

use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
#[cfg(unix)]
use std::sync::Weak;

use super::cancellation::Cancellation;
use super::error::{Cause, ContextError, Reason};
use crate::primitives::atomic::Ordering;

/// One of the handles of a context; the last of them cancels it when it is dropped.
struct Handle {
    cancellation: Arc<Cancellation>,
}

impl Handle {
    /// One more is counted than there are, so that none is ever the last.
    fn detach(&self) {
        self.count();
    }

    fn count(&self) {
        // As `Arc` does: long before the count could overflow (by leaking clones), the process is
        // stopped.
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

/// Cancels a context: when told to, and when the last clone is dropped. Go's `CancelFunc`, with the
/// `defer cancel()`.
///
/// Give it a name. In `let (ctx, _) = parent.with_cancel()` it is dropped, and the context
/// cancelled, at the end of that line; a name that begins with an underscore keeps it to the end of
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
/// To leave a context to its parent and its deadline, [`detach`](Cancel::detach) it.
#[must_use = "the context is cancelled when its last `Cancel` is dropped: keep it (as `_cancel`, \
              say), or call `detach()`"]
#[derive(Clone)]
pub struct Cancel {
    handle: Handle,
}

/// [`Cancel`], which also says what for. Go's `CancelCauseFunc`.
///
/// Dropping the last clone cancels without a cause, as [`Cancel::cancel`] does:
/// [`Context::cause`](super::Context::cause) is then [`ContextError::Canceled`].
#[must_use = "the context is cancelled when its last `CancelCause` is dropped: keep it (as \
              `_cancel`, say), or call `detach()`"]
#[derive(Clone)]
pub struct CancelCause {
    handle: Handle,
}

// A cancellation that has begun is completed, whatever panics.
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

    /// Cancels the context and all that have been derived from it. Those that have ended already
    /// stay as they are.
    ///
    /// When it returns all of them have ended, unless somebody else is in the midst of cancelling
    /// some of them, who may take a moment more. It waits for nobody.
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

    /// Lets the context go on without a handle: its parent and its deadline end it. Other clones
    /// still can, but dropping them does not any more.
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

    /// Cancels the context and all that have been derived from it, as [`Cancel::cancel`], for
    /// `cause`. Those that have ended already keep the causes that they have.
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

    /// Lets the context go on without a handle, as [`detach`](CancelCause::detach), and keeps the
    /// means to cancel it while others have it.
    #[cfg(unix)]
    pub(crate) fn downgrade(self) -> WeakCancel {
        self.handle.detach();
        WeakCancel(Arc::downgrade(&self.handle.cancellation))
    }

    /// Lets the context go on without a handle, as [`Cancel::detach`].
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

/// A [`CancelCause`] that does not keep its context, and whose drop means nothing.
#[cfg(unix)]
#[derive(Clone)]
pub(crate) struct WeakCancel(Weak<Cancellation>);

#[cfg(unix)]
impl WeakCancel {
    /// As [`CancelCause::cancel`], if anybody still has the context.
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
