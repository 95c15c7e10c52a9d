//! The type itself: a place in the tree of cancellations, and one in a list of values.

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
use crate::{clock, goroutine};

/// When to end, why, and values to take along; see [the module](crate::context).
///
/// By custom it is the first argument of functions that need it, and called `ctx`. Cloning is
/// cheap, and clones are the same context. All its methods may be called from goroutines and
/// threads, at the same time.
#[derive(Clone)]
pub struct Context {
    /// `None`: it never ends.
    cancellation: Option<Arc<Cancellation>>,
    values: Option<Arc<ValueNode>>,
}

static NEVER: Receiver<()> = never();

// It changes in one step, from going on to having ended; its values are only ever read.
impl UnwindSafe for Context {}
impl RefUnwindSafe for Context {}

impl Context {
    /// The context of `main`, of tests, of the program at large: it never ends, has no deadline and
    /// no values. Others are derived from it.
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

    /// The same as [`background`](Context::background), for where it is not yet clear which context
    /// to use: it can be searched for.
    ///
    /// ```
    /// assert!(go_runtime::context::Context::todo().err().is_none());
    /// ```
    #[must_use]
    pub const fn todo() -> Context {
        Context::background()
    }

    /// Derives a context that the [`Cancel`] ends, or the end of this one, whichever comes first.
    ///
    /// If this one has ended, so has the new one, in the same way.
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

    /// As [`with_cancel`](Context::with_cancel), but whoever cancels says what for.
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
    /// earlier deadline of this one holds on. If the time has come already, it has ended.
    ///
    /// # Panics
    /// As [`spawn`](crate::spawn), for it takes a goroutine to end it in time.
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

    /// [`with_deadline`](Context::with_deadline) at `timeout` from now. One that reaches beyond
    /// what an [`Instant`] can say means no deadline but that of this one.
    ///
    /// # Panics
    /// As [`with_deadline`](Context::with_deadline).
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

    /// As [`with_deadline`](Context::with_deadline), where `cause` is what the context ends for
    /// when the deadline passes. (Not when the [`Cancel`] ends it.)
    ///
    /// # Panics
    /// As [`with_deadline`](Context::with_deadline).
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

    /// [`with_deadline_cause`](Context::with_deadline_cause) at `timeout` from now, which may be
    /// never, as for [`with_timeout`](Context::with_timeout).
    ///
    /// # Panics
    /// As [`with_deadline`](Context::with_deadline).
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

    /// Derives a context that has `value` as well, to be found by its type. It hides one of the
    /// same type from further up. It ends with this one.
    ///
    /// Values are for what belongs to a request and passes through functions that need not know it
    /// (an identity, a trace), not for arguments. To have several of one type, or to keep one from
    /// others, make a type for it:
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

    /// The value of type `T` that was put in last on the way to this context. It takes time with
    /// the number of values.
    ///
    /// ```
    /// let ctx = go_runtime::context::background().with_value(1_u8).with_value(2_u16);
    /// assert_eq!((ctx.value::<u8>(), ctx.value::<u16>()), (Some(&1), Some(&2)));
    /// ```
    #[must_use]
    pub fn value<T: 'static>(&self) -> Option<&T> {
        self.values.as_ref()?.get()
    }

    /// Derives a context that has the values of this one, but goes on when it ends, and has no
    /// deadline: for what must still be done after the end of a request.
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

    /// Has `f` run in a goroutine of its own once this context has ended; at once, if it has. Until
    /// then there is no goroutine, and no stack.
    ///
    /// [`StopFunc::stop`] keeps it from running; dropping the `StopFunc` changes nothing. `f` is
    /// dropped at once if this context can never end, as [`background`](Context::background). An
    /// `f` that has a clone of this very context keeps it in memory until it ends.
    ///
    /// # Panics
    /// As [`spawn`](crate::spawn).
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

    /// The channel that is closed when this context ends: an arm of a [`select!`](crate::select),
    /// or to be waited for with `recv`, which gives an error then. There is never a message.
    ///
    /// A clone of the receiver may outlive the context. When all handles are gone, the clones of
    /// this context, those that were derived from it, and all [`Cancel`]s, nobody could tell it
    /// anything any more: then it counts as cancelled, the channel is closed, and functions given
    /// to [`after_func`](Context::after_func) are run.
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

    /// Why it has ended; `None` while it goes on. Once it says one thing it stays with that, and
    /// the [`done`](Context::done) channel is closed.
    ///
    /// It is cheap, and made to be asked in a loop that computes: it looks at the clock itself if
    /// there is a deadline, and a goroutine that gets `None` for more than 10 ms lets others run
    /// now and then, who might be those who cancel (see [the limits](crate#limits)). So do not hold
    /// a guard of a [`std::sync::Mutex`] meanwhile.
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
            goroutine::polled_in_vain();
        }
        error
    }

    /// What it has ended for: what was given to [`CancelCause::cancel`], or with the deadline, by
    /// whoever ended this context or, first of all, one that it was derived from; else the
    /// [`ContextError`]. `None` while it goes on.
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

    /// When it ends at the latest: the earliest deadline of this context and those that it was
    /// derived from, if there is one.
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
