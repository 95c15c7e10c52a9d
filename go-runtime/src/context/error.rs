//! Why a context has ended.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// How a context has ended: what [`Context::err`](super::Context::err) returns. The texts are Go's.
///
/// ```
/// use go_runtime::context::ContextError;
/// assert_eq!(ContextError::Canceled.to_string(), "context canceled");
/// assert_eq!(ContextError::DeadlineExceeded.to_string(), "context deadline exceeded");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ContextError {
    /// Somebody has cancelled it, or one that it was derived from.
    Canceled,
    /// Its deadline, or that of one that it was derived from, has passed.
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

/// What a context was cancelled for: any error, shared by all contexts that end for it.
///
/// ```
/// use go_runtime::context::{self, ContextError};
/// let (ctx, cancel) = context::background().with_cancel();
/// cancel.cancel();
/// let cause = ctx.cause().unwrap();
/// assert_eq!(cause.downcast_ref(), Some(&ContextError::Canceled));
/// ```
pub type Cause = Arc<dyn Error + Send + Sync + 'static>;

/// What one who cancels says, to the context itself and all its descendants.
#[derive(Clone)]
pub(super) struct Reason {
    pub(super) error: ContextError,
    /// `None`: there is no other than `error`.
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
