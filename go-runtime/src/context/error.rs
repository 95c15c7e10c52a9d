//! The errors of a context that has ended, and the reasons that a canceler gives.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// How a context has ended: the result of [`Context::err`](super::Context::err). The texts are
/// Go's.
///
/// ```
/// use go_runtime::context::ContextError;
/// assert_eq!(ContextError::Canceled.to_string(), "context canceled");
/// assert_eq!(ContextError::DeadlineExceeded.to_string(), "context deadline exceeded");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ContextError {
    /// The context, or one that it was derived from, was canceled.
    Canceled,
    /// The deadline of the context, or of one that it was derived from, has passed.
    DeadlineExceeded,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ContextError::Canceled => "context canceled",
            ContextError::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl Error for ContextError {}

/// Why a context was canceled: any error, shared by all contexts that end for it.
///
/// ```
/// use go_runtime::context::{self, ContextError};
/// let (ctx, cancel) = context::background().with_cancel();
/// cancel.cancel();
/// let cause = ctx.cause().unwrap();
/// assert_eq!(cause.downcast_ref(), Some(&ContextError::Canceled));
/// ```
pub type Cause = Arc<dyn Error + Send + Sync + 'static>;

/// What a cancellation tells the context and all its descendants.
#[derive(Clone)]
pub(super) struct Reason {
    pub(super) error: ContextError,
    /// `None` if there is no cause other than `error`.
    pub(super) cause: Option<Cause>,
}

impl Reason {
    pub(super) fn canceled() -> Reason {
        Reason {
            error: ContextError::Canceled,
            cause: None,
        }
    }
}
