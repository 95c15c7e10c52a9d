//! Goroutines that work on parts of one task, whose first error is the result: after
//! `golang.org/x/sync/errgroup`.

// `wait` waits for `running` to become 0. `State::active` is the same number, which `set_limit`
// checks. It is lowered before `running`, so it is 0 when `wait` has returned. The limit is a
// channel whose buffer has as many places as goroutines may be active. A goroutine has a place from
// before its start to its end, and gives the place back to the channel that it was taken from.
//
// The handles share an `Owner`. The goroutines share only the owner's `Shared`, and not the owner
// itself. So the drop of the last handle can cancel the context while goroutines still run.

use std::any::Any;
use std::fmt;
use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe, RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, PoisonError};

use crate::channel::{Receiver, Sender, bounded};
use crate::context::{Cancel, Context};
use crate::goroutine::{Builder, DropGuarded, room_for, started};
use crate::primitives::lock::{Mutex, MutexGuard};
use crate::sync::WaitGroup;

/// Goroutines that may fail, with an error of type `E`, and are waited for together.
///
/// The first error is what [`wait`](Group::wait) returns. A group made by
/// [`with_context`](Group::with_context) also cancels its context then, so that the other
/// goroutines can end early. Clones are handles to the same group, to start more goroutines from
/// elsewhere.
///
/// ```
/// use go_runtime::errgroup::Group;
///
/// let group = Group::new();
/// for word in ["1", "2", "three"] {
///     group.go(move || word.parse::<i32>().map(drop));
/// }
/// assert_eq!(group.wait().unwrap_err().to_string(), "invalid digit found in string");
/// ```
///
/// # Panics of goroutines
///
/// A goroutine that panics has failed: it cancels the context, and `wait` panics with its payload,
/// once all goroutines have ended. A panic takes precedence over all errors; of several panics, the
/// first counts.
///
/// # Without waiting
///
/// When the last handle is dropped, the context is canceled, because no caller can wait for the
/// result any more; the goroutines run on until they see that. (A goroutine of the group holds no
/// handle unless it has been given a clone.) Errors and panics are lost then, except for the panic
/// hook's report.
pub struct Group<E> {
    owner: Arc<Owner<E>>,
}

/// The part that the handles share. It is dropped with the last handle.
struct Owner<E> {
    shared: Arc<Shared<E>>,
}

/// The part that the handles and the goroutines share.
struct Shared<E> {
    running: WaitGroup,
    cancel: Option<Cancel>,
    state: Mutex<State<E>>,
}

struct State<E> {
    active: usize,
    limit: Option<Limit>,
    error: Option<DropGuarded<E>>,
    panic: Option<DropGuarded<Payload>>,
}

/// The places of a limit: sending takes one, receiving gives it back.
#[derive(Clone)]
struct Limit {
    most: usize,
    take: Sender<()>,
    give_back: Receiver<()>,
}

type Payload = Box<dyn Any + Send + 'static>;

enum Failure<E> {
    Error(E),
    Panic(Payload),
}

// `wait` reports a panic in a goroutine; the group itself is never left half changed.
impl<E> UnwindSafe for Group<E> {}
impl<E> RefUnwindSafe for Group<E> {}

impl<E> Group<E> {
    /// Makes a group without a context and without a limit.
    ///
    /// ```
    /// use go_runtime::errgroup::Group;
    /// let group = Group::<String>::new();
    /// assert_eq!(group.wait(), Ok(()));
    /// ```
    #[must_use]
    pub fn new() -> Group<E> {
        Group::make(None)
    }

    /// Makes a group and a context for its goroutines. The context is derived from `ctx`, and
    /// canceled when the first goroutine fails, when [`wait`](Group::wait) returns, or when the
    /// last handle of the group is dropped.
    ///
    /// ```
    /// use go_runtime::{context, errgroup::Group};
    ///
    /// let (group, ctx) = Group::with_context(&context::background());
    /// group.go(|| Err("no luck"));
    /// group.go(move || {
    ///     ctx.done().recv().unwrap_err();
    ///     Err("told to end")
    /// });
    /// assert_eq!(group.wait(), Err("no luck"));
    /// ```
    #[must_use]
    pub fn with_context(ctx: &Context) -> (Group<E>, Context) {
        let (ctx, cancel) = ctx.with_cancel();
        (Group::make(Some(cancel)), ctx)
    }

    fn make(cancel: Option<Cancel>) -> Group<E> {
        let shared = Arc::new(Shared {
            running: WaitGroup::new(),
            cancel,
            state: Mutex::new(State {
                active: 0,
                limit: None,
                error: None,
                panic: None,
            }),
        });
        Group {
            owner: Arc::new(Owner { shared }),
        }
    }

    /// Limits the number of goroutines of the group that are active at once to `n`. At the limit,
    /// [`go`](Group::go) waits for a goroutine to end. A new group has no limit; `usize::MAX` is as
    /// good as none.
    ///
    /// # Panics
    /// If `n` is 0: nothing could ever run. If goroutines of the group are active, or wait to be
    /// started.
    ///
    /// ```
    /// let group = go_runtime::errgroup::Group::<()>::new();
    /// group.set_limit(2);
    /// for _ in 0..10 {
    ///     group.go(|| Ok(()));
    /// }
    /// assert!(group.wait().is_ok());
    /// ```
    #[track_caller]
    pub fn set_limit(&self, n: usize) {
        assert!(
            n > 0,
            "errgroup::Group::set_limit(0): no goroutine could ever run; give the number that may \
             run at once"
        );
        let (take, give_back) = bounded(n);
        let mut state = self.shared().lock();
        let active = state.active;
        if active == 0 {
            let limit = Limit {
                most: n,
                take,
                give_back,
            };
            let before = state.limit.replace(limit);
            drop(state);
            drop(before);
        } else {
            drop(state);
            panic!(
                "errgroup::Group::set_limit({n}): {active} goroutines of the group are active; set \
                 the limit before they start, or after wait()"
            );
        }
    }

    /// Waits until all goroutines have ended, and cancels the group's context.
    ///
    /// The group can be used again afterwards, except that its context stays canceled. The error is
    /// returned once: of several callers that wait at the same time, one gets it. A goroutine that
    /// is started while this waits may or may not be waited for; a goroutine that another goroutine
    /// of the group starts is always waited for.
    ///
    /// # Errors
    /// If a goroutine has returned an error since the last `wait`: the first such error.
    ///
    /// # Panics
    /// With the payload of the first goroutine that has panicked. Its error, if there is one as
    /// well, is dropped.
    ///
    /// ```
    /// use go_runtime::errgroup::Group;
    ///
    /// let group = Group::new();
    /// group.go(|| Err("once"));
    /// assert_eq!(group.wait(), Err("once"));
    /// group.go(|| Ok(()));
    /// assert_eq!(group.wait(), Ok(()));
    /// ```
    pub fn wait(&self) -> Result<(), E> {
        let shared = self.shared();
        shared.running.wait();
        shared.cancel();
        let mut state = shared.lock();
        let (panic, error) = (state.panic.take(), state.error.take());
        drop(state);
        match (panic, error) {
            (Some(payload), error) => {
                drop(error);
                panic::resume_unwind(payload.into_inner())
            }
            (None, Some(error)) => Err(error.into_inner()),
            (None, None) => Ok(()),
        }
    }

    fn shared(&self) -> &Arc<Shared<E>> {
        &self.owner.shared
    }
}

impl<E: Send + 'static> Group<E> {
    /// Starts a goroutine that runs `f`. The call waits while as many goroutines are active as
    /// [`set_limit`](Group::set_limit) allows.
    ///
    /// (A goroutine of the group that calls this keeps its own place while it waits for another
    /// place: if all goroutines do so, they wait for ever.)
    ///
    /// # Panics
    /// Where [`spawn`](crate::spawn) panics.
    ///
    /// ```
    /// let group = go_runtime::errgroup::Group::<std::io::Error>::new();
    /// group.go(|| std::fs::metadata(".").map(drop));
    /// group.wait()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn go<F>(&self, f: F)
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        started(self.spawn_with(Builder::new(), f));
    }

    /// [`go`](Group::go), under the name that [`go!`](crate::go) calls: `go!(group; f(x))`.
    ///
    /// ```
    /// use go_runtime::{errgroup::Group, go};
    ///
    /// fn even(n: u32) -> Result<(), u32> {
    ///     if n.is_multiple_of(2) { Ok(()) } else { Err(n) }
    /// }
    ///
    /// let group = Group::new();
    /// for n in [2, 3, 4] {
    ///     go!(group; even(n));
    /// }
    /// assert_eq!(group.wait(), Err(3));
    /// ```
    ///
    /// # Panics
    /// Where [`go`](Group::go) panics.
    #[track_caller]
    pub fn spawn<F>(&self, f: F)
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        self.go(f);
    }

    /// Starts a goroutine with options, and is otherwise like [`go`](Group::go).
    /// `go!(group, options; ...)` calls this, and panics on its error.
    ///
    /// ```
    /// use go_runtime::{Builder, errgroup::Group, go};
    ///
    /// let group = Group::<String>::new();
    /// group.spawn_with(Builder::new().name("first"), || Ok(()))?;
    /// go!(group, name = "second"; { Err("no luck".to_owned()) });
    /// assert_eq!(group.wait().unwrap_err(), "no luck");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`Builder::spawn`]; the group is then as it was before.
    #[track_caller]
    pub fn spawn_with<F>(&self, builder: Builder, f: F) -> io::Result<()>
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        let mut membership = Membership::new(self.shared());
        if let Some(limit) = membership.limit.take() {
            // The channel is not closed, as `limit` has both ends, so the send succeeds.
            let _ = limit.take.send(());
            membership.limit = Some(limit);
        }
        membership.start(builder, f)
    }

    /// Starts a goroutine that runs `f`, unless as many are active as
    /// [`set_limit`](Group::set_limit) allows: then it drops `f`. Returns whether it started the
    /// goroutine.
    ///
    /// # Panics
    /// Where [`spawn`](crate::spawn) panics.
    ///
    /// ```
    /// use go_runtime::{channel, errgroup::Group};
    ///
    /// let group = Group::<()>::new();
    /// group.set_limit(1);
    /// let (stop, done) = channel::bounded::<()>(0);
    /// assert!(group.try_go(move || { done.recv().unwrap_err(); Ok(()) }));
    /// assert!(!group.try_go(|| Ok(())));
    /// drop(stop);
    /// group.wait().unwrap();
    /// ```
    #[track_caller]
    #[must_use = "it may not have been started"]
    pub fn try_go<F>(&self, f: F) -> bool
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        let mut membership = Membership::new(self.shared());
        if let Some(limit) = membership.limit.take() {
            if limit.take.try_send(()).is_err() {
                return false;
            }
            membership.limit = Some(limit);
        }
        started(membership.start(Builder::new(), f));
        true
    }
}

impl<E> Shared<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        // No code that could panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancel(&self) {
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
    }

    /// Records that the calling goroutine has failed. An error or a panic that does not count,
    /// because there was an earlier one, is dropped here.
    fn fail(&self, failure: Failure<E>) {
        let mut state = self.lock();
        let late = match failure {
            Failure::Error(error) if state.error.is_none() => {
                state.error = Some(DropGuarded::new(error));
                None
            }
            Failure::Panic(payload) if state.panic.is_none() => {
                state.panic = Some(DropGuarded::new(payload));
                None
            }
            late => Some(late),
        };
        drop(state);
        self.cancel();
        if let Some(Failure::Panic(payload)) = late {
            // The payload of the panic is leaked, because its `Drop` could panic as well.
            mem::forget(payload);
        }
    }
}

/// A goroutine's membership of the group: it is counted, and has a place if there is a limit. It
/// lasts from before the start to the end, or until the goroutine turns out not to be started.
struct Membership<E> {
    shared: Arc<Shared<E>>,
    limit: Option<Limit>,
}

impl<E> Membership<E> {
    /// Counts a goroutine at once, so that the limit is not changed, and `wait` does not return,
    /// while the goroutine waits for its place.
    fn new(shared: &Arc<Shared<E>>) -> Membership<E> {
        shared.running.add(1);
        let mut state = shared.lock();
        state.active += 1;
        let limit = state.limit.clone();
        drop(state);
        Membership {
            shared: Arc::clone(shared),
            limit,
        }
    }

    #[track_caller]
    fn start<F>(self, builder: Builder, f: F) -> io::Result<()>
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
        E: Send + 'static,
    {
        let builder = builder.with_room(room_for::<F, Result<(), E>>());
        builder.spawn(move || {
            // Declared first, and so dropped last.
            let membership = self;
            // Unwind safety is asserted: nothing of a panicked goroutine's state is left, except
            // for what the goroutine shares with others.
            match panic::catch_unwind(AssertUnwindSafe(f)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => membership.shared.fail(Failure::Error(error)),
                Err(payload) => membership.shared.fail(Failure::Panic(payload)),
            }
        })?;
        Ok(())
    }
}

impl<E> Drop for Membership<E> {
    fn drop(&mut self) {
        if let Some(limit) = &self.limit {
            // Any message will do, because only the number of messages matters.
            let _ = limit.give_back.try_recv();
        }
        self.shared.lock().active -= 1;
        self.shared.running.done();
    }
}

impl<E> Drop for Owner<E> {
    fn drop(&mut self) {
        self.shared.cancel();
    }
}

impl<E> Clone for Group<E> {
    fn clone(&self) -> Self {
        Group {
            owner: Arc::clone(&self.owner),
        }
    }
}

impl<E> Default for Group<E> {
    fn default() -> Self {
        Group::new()
    }
}

impl<E> fmt::Debug for Group<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared().lock();
        let (active, limit) = (state.active, state.limit.as_ref().map(|limit| limit.most));
        drop(state);
        f.debug_struct("Group")
            .field("active", &active)
            .field("limit", &limit)
            .finish_non_exhaustive()
    }
}
