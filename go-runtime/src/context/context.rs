//! The type [`Context`]: a reference to a node in the tree of cancellations, and one to the head of
//! a list of values.

use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cancel::{Cancel, CancelCause};
use super::cancellation::{Cancellation, Own};
use super::error::{Cause, ContextError};
use super::functions::{self, StopFunc};
use super::values::ValueNode;
use crate::channel::{Receiver, never};
use crate::clock;
use crate::wait;

/// Carries a deadline, a cancellation signal and values between functions and goroutines; see
/// [the module](crate::context).
///
/// By custom, a function that needs a context takes it as its first argument, called `ctx`. Cloning
/// is cheap, and clones are the same context. All methods may be called from goroutines and
/// threads, at the same time.
#[derive(Clone)]
pub struct Context {
    /// `None` for a context that never ends.
    cancellation: Option<Arc<Cancellation>>,
    values: Option<Arc<ValueNode>>,
}

static NEVER: Receiver<()> = never();

// Unwind-safe: the context changes once, from live to ended, in one step; its values are only read.
impl UnwindSafe for Context {}
impl RefUnwindSafe for Context {}

impl Context {
    /// Returns the root context of `main`, of tests, of the whole program: it never ends, and has
    /// no deadline and no values. Other contexts are derived from it.
    ///
    /// ```
    /// use go_runtime::context::Context;
    /// let ctx = Context::background();
    /// assert!(ctx.err().is_none() && ctx.deadline().is_none());
    /// ```
    #[must_use]
    pub const fn background() -> Context {
        Context {
            cancellation: None,
            values: None,
        }
    }

    /// Returns the same context as [`background`](Context::background), under a name that can be
    /// searched for: for places where it is not yet clear which context to use.
    ///
    /// ```
    /// assert!(go_runtime::context::Context::todo().err().is_none());
    /// ```
    #[must_use]
    pub const fn todo() -> Context {
        Context::background()
    }

    /// Derives a context that ends when the [`Cancel`] is used or when this context ends, whichever
    /// comes first.
    ///
    /// If this context has ended already, the new one has ended too, in the same way.
    ///
    /// ```
    /// use go_runtime::context;
    /// let (parent, cancel_parent) = context::background().with_cancel();
    /// let (child, _cancel) = parent.with_cancel();
    /// cancel_parent.cancel();
    /// assert!(child.err().is_some());
    /// ```
    pub fn with_cancel(&self) -> (Context, Cancel) {
        self.derive(None)
    }

    /// Derives a context like [`with_cancel`](Context::with_cancel), whose canceler gives a reason.
    ///
    /// ```
    /// use go_runtime::context;
    /// let (ctx, cancel) = context::background().with_cancel_cause();
    /// cancel.cancel("no more money");
    /// assert_eq!(ctx.cause().unwrap().to_string(), "no more money");
    /// ```
    pub fn with_cancel_cause(&self) -> (Context, CancelCause) {
        let cancellation = Cancellation::new(self.cancellation.as_ref(), None);
        let cancel = CancelCause::new(Arc::clone(&cancellation));
        (self.with_cancellation(cancellation), cancel)
    }

    /// Derives a context that also ends at `deadline`, with [`ContextError::DeadlineExceeded`]. An
    /// earlier deadline of this context stays in force. If the deadline has passed already, the new
    /// context has ended.
    ///
    /// # Panics
    /// Like [`spawn`](crate::spawn), because a goroutine ends the context in time.
    ///
    /// ```
    /// use std::time::Instant;
    /// use go_runtime::context::{self, ContextError};
    /// let (ctx, _cancel) = context::background().with_deadline(Instant::now());
    /// assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
    /// ```
    pub fn with_deadline(&self, deadline: Instant) -> (Context, Cancel) {
        let cause = None;
        self.derive(Some(Own { deadline, cause }))
    }

    /// Derives a context like [`with_deadline`](Context::with_deadline), with a deadline `timeout`
    /// from now. A timeout that reaches beyond what an [`Instant`] can express adds no deadline to
    /// that of this context.
    ///
    /// # Panics
    /// Like [`with_deadline`](Context::with_deadline).
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::context::{self, ContextError};
    /// let (ctx, _cancel) = context::background().with_timeout(Duration::from_millis(1));
    /// assert!(ctx.done().recv().is_err());
    /// assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
    /// ```
    pub fn with_timeout(&self, timeout: Duration) -> (Context, Cancel) {
        let cause = None;
        self.derive(clock::after(timeout).map(|deadline| Own { deadline, cause }))
    }

    /// Derives a context like [`with_deadline`](Context::with_deadline), with `cause` as the reason
    /// if the deadline ends it. If the [`Cancel`] ends it, `cause` is not used.
    ///
    /// # Panics
    /// Like [`with_deadline`](Context::with_deadline).
    ///
    /// ```
    /// use std::time::Instant;
    /// use go_runtime::context;
    /// let (ctx, _cancel) = context::background().with_deadline_cause(Instant::now(), "dinner");
    /// assert_eq!(ctx.cause().unwrap().to_string(), "dinner");
    /// ```
    pub fn with_deadline_cause(
        &self,
        deadline: Instant,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> (Context, Cancel) {
        let cause = Some(Cause::from(cause.into()));
        self.derive(Some(Own { deadline, cause }))
    }

    /// Derives a context like [`with_deadline_cause`](Context::with_deadline_cause), with a
    /// deadline `timeout` from now, or no deadline of its own as for
    /// [`with_timeout`](Context::with_timeout).
    ///
    /// # Panics
    /// Like [`with_deadline`](Context::with_deadline).
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::context;
    /// let (ctx, _cancel) = context::background().with_timeout_cause(Duration::ZERO, "too slow");
    /// assert_eq!(ctx.cause().unwrap().to_string(), "too slow");
    /// ```
    pub fn with_timeout_cause(
        &self,
        timeout: Duration,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> (Context, Cancel) {
        let deadline = clock::after(timeout);
        let cause = Some(Cause::from(cause.into()));
        self.derive(deadline.map(|deadline| Own { deadline, cause }))
    }

    fn derive(&self, own: Option<Own>) -> (Context, Cancel) {
        let cancellation = Cancellation::new(self.cancellation.as_ref(), own);
        let cancel = Cancel::new(Arc::clone(&cancellation));
        (self.with_cancellation(cancellation), cancel)
    }

    fn with_cancellation(&self, cancellation: Arc<Cancellation>) -> Context {
        Context {
            cancellation: Some(cancellation),
            values: self.values.clone(),
        }
    }

    /// Derives a context that also carries `value`, which is found by its type. It hides a value of
    /// the same type from further up. The new context ends with this one.
    ///
    /// Values are for data that belongs to a request and passes through functions that need not
    /// know it (an identity, a trace), not for arguments. To carry several values of one type, or
    /// to hide a value from other modules, define a type for it:
    ///
    /// ```
    /// use go_runtime::context;
    ///
    /// struct User(String);
    ///
    /// let ctx = context::background().with_value(User("gopher".into()));
    /// assert_eq!(ctx.value::<User>().unwrap().0, "gopher");
    /// assert!(ctx.value::<String>().is_none());
    /// ```
    #[must_use = "it derives a context, and does not change this one"]
    pub fn with_value<T: Send + Sync + 'static>(&self, value: T) -> Context {
        Context {
            cancellation: self.cancellation.clone(),
            values: Some(ValueNode::new(value, self.values.clone())),
        }
    }

    /// Returns the value of type `T` that was added last on the way from the root to this context.
    /// The time of the search grows with the number of values.
    ///
    /// ```
    /// let ctx = go_runtime::context::background().with_value(1_u8).with_value(2_u16);
    /// assert_eq!((ctx.value::<u8>(), ctx.value::<u16>()), (Some(&1), Some(&2)));
    /// ```
    #[must_use]
    pub fn value<T: 'static>(&self) -> Option<&T> {
        self.values.as_ref()?.get()
    }

    /// Derives a context that has the values of this one, but no deadline, and that does not end
    /// with this one: for work that must still be done after the end of a request.
    ///
    /// ```
    /// let (ctx, cancel) = go_runtime::context::background().with_value(7).with_cancel();
    /// let after = ctx.without_cancel();
    /// cancel.cancel();
    /// assert!(after.err().is_none());
    /// assert_eq!(after.value::<i32>(), Some(&7));
    /// ```
    #[must_use = "it derives a context, and does not change this one"]
    pub fn without_cancel(&self) -> Context {
        Context {
            cancellation: None,
            values: self.values.clone(),
        }
    }

    /// Registers `f` to run in its own goroutine once this context has ended; if it has ended
    /// already, `f` starts at once. Until then there is no goroutine, and no stack.
    ///
    /// [`StopFunc::stop`] prevents `f` from running; dropping the `StopFunc` has no effect. `f` is
    /// dropped at once if this context can never end, as [`background`](Context::background). An
    /// `f` that owns a clone of this context keeps the context in memory until it ends.
    ///
    /// # Panics
    /// Like [`spawn`](crate::spawn).
    ///
    /// ```
    /// use go_runtime::{channel, context};
    ///
    /// let (told, tell) = channel::unbounded();
    /// let (ctx, cancel) = context::background().with_cancel();
    /// ctx.after_func(move || told.send("the end").unwrap());
    /// cancel.cancel();
    /// assert_eq!(tell.recv(), Ok("the end"));
    /// ```
    #[track_caller]
    pub fn after_func(&self, f: impl FnOnce() + Send + 'static) -> StopFunc {
        match functions::after(self.cancellation.as_ref(), f) {
            Ok(stop) => stop,
            Err(error) => panic!("cannot spawn a goroutine: {error}"),
        }
    }

    /// Returns the channel that is closed when this context ends: use it as an arm of a
    /// [`select!`](crate::select), or wait with `recv`, which then returns an error. The channel
    /// never carries a message.
    ///
    /// A clone of the receiver may outlive the context. When all handles are gone (the clones of
    /// this context, the contexts derived from it, and all [`Cancel`]s), nothing could end the
    /// context any more. It then counts as canceled: the channel is closed, and functions given to
    /// [`after_func`](Context::after_func) run.
    ///
    /// ```
    /// use go_runtime::{channel::never, context, select};
    ///
    /// let (ctx, cancel) = context::background().with_cancel();
    /// cancel.cancel();
    /// select! {
    ///     recv(ctx.done()) -> _ => {}
    ///     recv(never::<()>()) -> _ => unreachable!(),
    /// }
    /// ```
    #[must_use]
    pub fn done(&self) -> &Receiver<()> {
        self.cancellation.as_ref().map_or(&NEVER, |c| c.done())
    }

    /// Returns why this context has ended, or `None` while it is live. Once it returns an error it
    /// always returns the same one, and the [`done`](Context::done) channel is closed.
    ///
    /// The call is cheap, and suits a loop that computes: it reads the clock itself if there is a
    /// deadline. A goroutine that gets `None` for more than 10 ms yields now and then, so that the
    /// goroutine that would cancel can run (see [the limits](crate#limits)). So do not hold a guard
    /// of a [`std::sync::Mutex`] meanwhile.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::context;
    ///
    /// let (ctx, _cancel) = context::background().with_timeout(Duration::from_millis(5));
    /// let mut digits = String::from("3.");
    /// while ctx.err().is_none() {
    ///     digits.push('1');
    /// }
    /// assert_eq!(ctx.err().unwrap().to_string(), "context deadline exceeded");
    /// ```
    #[must_use]
    #[inline]
    pub fn err(&self) -> Option<ContextError> {
        let error = self.cancellation.as_ref().and_then(Cancellation::err);
        if error.is_none() {
            wait::note_failed_poll();
        }
        error
    }

    /// Returns the cause of the end, or `None` while this context is live. The first cancellation
    /// or deadline that ended this context or one of its ancestors determines the cause: the one
    /// given to [`CancelCause::cancel`] or with the deadline, or else the [`ContextError`].
    ///
    /// ```
    /// use go_runtime::context::{self, ContextError};
    ///
    /// let (parent, cancel) = context::background().with_cancel_cause();
    /// let (child, _cancel) = parent.with_cancel();
    /// assert!(child.cause().is_none());
    /// cancel.cancel("closing time");
    /// assert_eq!(child.err(), Some(ContextError::Canceled));
    /// assert_eq!(child.cause().unwrap().to_string(), "closing time");
    /// ```
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.cancellation.as_ref()?.cause()
    }

    /// Returns the latest time at which this context ends: the earliest deadline of this context
    /// and its ancestors, if there is one.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use go_runtime::context;
    ///
    /// let soon = Instant::now() + Duration::from_secs(60);
    /// let (ctx, _cancel) = context::background().with_deadline(soon);
    /// let (child, _cancel) = ctx.with_timeout(Duration::from_secs(600));
    /// assert_eq!(child.deadline(), Some(soon));
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.cancellation.as_ref()?.deadline()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cancellation = self.cancellation.as_ref();
        let values = self.values.iter().flat_map(|values| values.iter());
        f.debug_struct("Context")
            .field("err", &cancellation.and_then(|c| c.status()))
            .field("deadline", &cancellation.and_then(|c| c.deadline()))
            .field("values", &values.count())
            .finish()
    }
}
