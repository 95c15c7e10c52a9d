//! Go's `context`: deadlines, cancellation and values that belong to a request, handed from
//! function to function and goroutine to goroutine.
//!
//! A goroutine cannot be ended from outside. A [`Context`] tells it to end: it has a done channel
//! to select on, an error that says why, perhaps a deadline, and values. Contexts are *derived*
//! from one another, and form a tree; canceling a context cancels all contexts derived from it, and
//! never its ancestors.
//!
//! ```
//! use std::time::Duration;
//! use go_runtime::{channel, context::{self, Context, ContextError}, go, select};
//!
//! fn work(ctx: &Context) -> Result<u64, ContextError> {
//!     let ticker = channel::tick(Duration::from_millis(1));
//!     let mut ticks = 0;
//!     loop {
//!         select! {
//!             recv(ticker) -> _ => ticks += 1,
//!             recv(ctx.done()) -> _ => return ctx.err().map_or(Ok(ticks), Err),
//!         }
//!     }
//! }
//!
//! let (ctx, cancel) = context::background().with_timeout(Duration::from_secs(60));
//! let worker = go!(clone(ctx) { work(&ctx) });
//! cancel.cancel();
//! assert_eq!(worker.join().unwrap(), Err(ContextError::Canceled));
//! ```
//!
//! Differences from Go:
//! - Dropping the last [`Cancel`] cancels the context, so there is no `defer cancel()` to forget.
//! - Values are found by their types, so two keys never clash: define a type for each value.
//! - `Context` is a type and not an interface: there is one kind.
//! - A context whose last handle is dropped (possible only after [`Cancel::detach`]) counts as
//!   canceled: see [`Context::done`].

mod cancel;
mod cancellation;
#[expect(
    clippy::module_inception,
    reason = "the type that the module is named for"
)]
mod context;
mod error;
mod functions;
mod values;

#[cfg(unix)]
pub(crate) use self::cancel::WeakCancel;
pub use self::cancel::{Cancel, CancelCause};
pub use self::context::Context;
pub use self::error::{Cause, ContextError};
pub use self::functions::StopFunc;

/// Returns [`Context::background`].
///
/// ```
/// assert!(go_runtime::context::background().err().is_none());
/// ```
#[must_use]
pub const fn background() -> Context {
    Context::background()
}

/// Returns [`Context::todo`].
///
/// ```
/// assert!(go_runtime::context::todo().err().is_none());
/// ```
#[must_use]
pub const fn todo() -> Context {
    Context::todo()
}
