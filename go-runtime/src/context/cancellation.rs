//! The tree of contexts that can be canceled.
//!
//! A [`Cancellation`] is a node, which owns a reference to its parent. So every node that can end a
//! child lives at least as long as the child. The parent holds a weak reference to each child, in a
//! slab; a child removes itself from the slab when it ends or is dropped.
//!
//! ```text
//!           Arc                 Arc
//!   child ------> parent ------------> grandparent        (towards the root: strong)
//!         <------        <------------
//!           Weak, in `children`                            (towards the leaves: weak)
//! ```
//!
//! Any thread may use a node. `status` and `handles` are atomics, `done` is a `OnceLock`, and the
//! lock of `state` guards the rest.
//!
//! Invariants:
//! - `status` changes from live to ended once, under the lock of `state`; from then on `children`
//!   is empty and stays empty. So a child is either in the slab when its parent ends, and is told,
//!   or its registration finds that the parent has ended.
//! - A caller that learns from `err` that the context has ended finds the channel closed, and vice
//!   versa: the channel is closed after `status` has changed, and a caller of `err` in between
//!   closes it too.
//! - No node's lock is held while another node's is taken, or while user code runs or a user's
//!   value is dropped: a cause, a function, a waker.
//! - No function here recurses along the tree, because a chain of contexts may be longer than a
//!   stack is deep.

use std::fmt;
use std::mem;
use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::time::Instant;

use slab::Slab;

use super::error::{Cause, ContextError, Reason};
use super::functions::{self, Function};
use crate::channel::{Receiver, Sender, bounded};
use crate::clock;
use crate::primitives::atomic::{AtomicU8, AtomicUsize, Ordering};
use crate::primitives::lock::{Mutex, MutexGuard};
use crate::time::{AfterFunc, after_func_at};

pub(super) struct Cancellation {
    /// The nearest ancestor that can be canceled.
    parent: Option<Arc<Cancellation>>,
    /// The position of this node in the parent's `children`.
    place: Place,
    /// Created on the first call of `done()`, under the lock of `state`; closed when the context
    /// ends.
    done: OnceLock<(Sender<()>, Receiver<()>)>,
    status: AtomicU8,
    /// The earliest of this node's own deadline and those of its ancestors.
    deadline: Option<Instant>,
    /// This node's own deadline, if it is earlier than the inherited one.
    own: Option<Own>,
    /// Number of [`Cancel`](super::Cancel) handles; dropping the last one cancels the context.
    pub(super) handles: AtomicUsize,
    state: Mutex<State>,
}

/// A context's own deadline, and the cause that the context ends with when it passes.
pub(super) struct Own {
    pub(super) deadline: Instant,
    pub(super) cause: Option<Cause>,
}

struct State {
    cause: Option<Cause>,
    children: Slab<Child>,
    alarm: Option<AfterFunc>,
}

/// What a node notifies when it ends.
pub(super) enum Child {
    Context(Weak<Cancellation>),
    Function(Function),
}

/// The position of a child in its parent's slab. A caller has to take the position out of here
/// before it removes the child from the slab, so that the child is removed once: afterwards another
/// child may get the same position.
pub(super) struct Place(AtomicUsize);

impl Place {
    const NOWHERE: usize = usize::MAX;

    pub(super) fn nowhere() -> Place {
        Place(AtomicUsize::new(Place::NOWHERE))
    }

    pub(super) fn take(&self) -> Option<usize> {
        let place = self.0.swap(Place::NOWHERE, Ordering::Relaxed);
        (place != Place::NOWHERE).then_some(place)
    }

    /// Sets the position. Only the owner or the holder of the parent's lock may call it, before any
    /// other thread could take the position.
    fn set(&self, place: usize) {
        self.0.store(place, Ordering::Relaxed);
    }
}

/// The values of `status`: one of the first three. `CLOSED` is added to the second or the third
/// once the channel is closed, too.
const LIVE: u8 = 0;
const CANCELED: u8 = 1;
const DEADLINE_EXCEEDED: u8 = 2;
const CLOSED: u8 = 4;

/// A slab with at most this capacity keeps its memory when it becomes empty.
const FEW: usize = 64;

impl Cancellation {
    /// Creates a node that ends with `parent`, and at its `own` deadline if that is earlier than
    /// the parent's.
    pub(super) fn new(parent: Option<&Arc<Cancellation>>, own: Option<Own>) -> Arc<Cancellation> {
        let inherited = parent.and_then(|parent| parent.deadline);
        let own = own.filter(|own| inherited.is_none_or(|inherited| own.deadline < inherited));
        let this = Arc::new(Cancellation {
            parent: parent.cloned(),
            place: Place::nowhere(),
            done: OnceLock::new(),
            status: AtomicU8::new(LIVE),
            deadline: own.as_ref().map(|own| own.deadline).or(inherited),
            own,
            handles: AtomicUsize::new(1),
            state: Mutex::new(State {
                cause: None,
                children: Slab::new(),
                alarm: None,
            }),
        });
        if let Some(parent) = parent
            && let Err((_, reason)) =
                parent.register(Child::Context(Arc::downgrade(&this)), &this.place)
        {
            this.cancel(reason);
        } else if let Some(own) = &this.own {
            if own.deadline <= clock::now() {
                this.expire();
            } else {
                this.set_alarm(own.deadline);
            }
        }
        this
    }

    fn set_alarm(self: &Arc<Self>, deadline: Instant) {
        let this = Arc::downgrade(self);
        let alarm = after_func_at(deadline, move || {
            if let Some(this) = this.upgrade() {
                this.expire();
            }
        });
        let mut state = self.lock();
        if self.status().is_none() {
            state.alarm = Some(alarm);
        } else {
            // An ancestor was canceled in the meantime.
            drop(state);
            alarm.stop();
        }
    }

    pub(super) fn done(&self) -> &Receiver<()> {
        match self.done.get() {
            Some((_, done)) => done,
            None => self.make_done(),
        }
    }

    #[cold]
    fn make_done(&self) -> &Receiver<()> {
        // The lock orders this thread with `end`: either `end` finds the channel and closes it, or
        // this thread sees the status that `end` set.
        let _state = self.lock();
        let (_, done) = self.done.get_or_init(|| {
            let channel = bounded(0);
            if self.status().is_some() {
                // (The channel is new: it has no waiters whose wakers could run under the lock.)
                channel.0.close();
            }
            channel
        });
        done
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns the recorded error. A deadline that has passed unnoticed does not count.
    pub(super) fn status(&self) -> Option<ContextError> {
        match self.status.load(Ordering::Acquire) & !CLOSED {
            LIVE => None,
            CANCELED => Some(ContextError::Canceled),
            _ => Some(ContextError::DeadlineExceeded),
        }
    }

    /// Returns why the context has ended, with the channel closed. It checks the deadline against
    /// the clock itself, because the alarm's goroutine may be queued behind the caller.
    #[inline]
    pub(super) fn err(self: &Arc<Self>) -> Option<ContextError> {
        let status = self.status.load(Ordering::Acquire);
        if status == LIVE {
            if self.deadline? > clock::now() {
                return None;
            }
            self.expire();
        }
        if status & CLOSED == 0 {
            self.close();
        }
        self.status()
    }

    /// Closes the channel of a context that has ended. Several threads may do so at once.
    #[cold]
    fn close(&self) {
        if let Some((closer, _)) = self.done.get() {
            closer.close();
        }
        self.status.fetch_or(CLOSED, Ordering::Release);
    }

    /// Returns the cause of the cancellation, if the context has ended.
    pub(super) fn cause(self: &Arc<Self>) -> Option<Cause> {
        let error = self.err()?;
        let cause = self.lock().cause.clone();
        Some(cause.unwrap_or_else(|| Arc::new(error)))
    }

    fn reason(&self, error: ContextError, state: &State) -> Reason {
        Reason {
            error,
            cause: state.cause.clone(),
        }
    }

    /// Returns the recorded reason, if the context has ended.
    fn ended_for(&self) -> Option<Reason> {
        let state = self.lock();
        self.status().map(|error| self.reason(error, &state))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could panic happens under the lock, so a poisoned lock guards consistent
        // data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers `child` to be told of the end. If this context has ended already, the child comes
    /// back with the reason.
    pub(super) fn register(&self, child: Child, place: &Place) -> Result<(), (Child, Reason)> {
        let mut state = self.lock();
        match self.status() {
            Some(error) => Err((child, self.reason(error, &state))),
            None => {
                place.set(state.children.insert(child));
                Ok(())
            }
        }
    }

    /// Removes a child, unless the end of this context has taken it out of the slab already.
    pub(super) fn unregister(&self, place: &Place) -> Option<Child> {
        let place = place.take()?;
        let mut state = self.lock();
        let child = state.children.try_remove(place);
        if state.children.is_empty() && state.children.capacity() > FEW {
            state.children = Slab::new();
        }
        child
    }

    /// Handles a deadline that has passed: cancels the nearest node, from this one upward, whose
    /// own deadline it is, with all descendants of that node.
    #[cold]
    fn expire(self: &Arc<Self>) {
        let mut whose = self;
        let reason = loop {
            if let Some(reason) = whose.ended_for() {
                break reason;
            }
            if let Some(own) = &whose.own {
                let reason = Reason {
                    error: ContextError::DeadlineExceeded,
                    cause: own.cause.clone(),
                };
                whose.cancel(reason.clone());
                break whose.ended_for().unwrap_or(reason);
            }
            match &whose.parent {
                Some(parent) => whose = parent,
                None => unreachable!("a deadline is the context's own or an ancestor's"),
            }
        };
        // Another thread may be canceling the same ancestor, and may not have reached this node
        // yet.
        if !Arc::ptr_eq(whose, self) {
            self.cancel(reason);
        }
    }

    /// Ends this node and all its descendants, except for nodes that have already ended.
    pub(super) fn cancel(self: &Arc<Self>, reason: Reason) {
        let (mut contexts, mut functions) = (Vec::new(), Vec::new());
        if let Some(parent) = &self.parent {
            drop(parent.unregister(&self.place));
        }
        self.end(&reason, &mut contexts, &mut functions);
        while let Some(child) = contexts.pop() {
            // If the upgrade fails, another thread is dropping the child, which ends the child as
            // well.
            if let Some(child) = Weak::upgrade(&child) {
                child.place.take();
                child.end(&reason, &mut contexts, &mut functions);
            }
        }
        // Functions start last, so that they find the whole subtree canceled.
        functions::start(functions);
    }

    /// Ends this node only, and adds its children to the lists of those to be told.
    fn end(
        &self,
        reason: &Reason,
        contexts: &mut Vec<Weak<Cancellation>>,
        functions: &mut Vec<Function>,
    ) {
        let mut state = self.lock();
        if self.status().is_some() {
            return;
        }
        state.cause.clone_from(&reason.cause);
        let status = match reason.error {
            ContextError::Canceled => CANCELED,
            ContextError::DeadlineExceeded => DEADLINE_EXCEEDED,
        };
        self.status.store(status, Ordering::Release);
        let children = mem::take(&mut state.children);
        let alarm = state.alarm.take();
        drop(state);
        if let Some(alarm) = alarm {
            alarm.stop();
        }
        self.close();
        for (_, child) in children {
            match child {
                Child::Context(context) => contexts.push(context),
                Child::Function(function) => functions.push(function),
            }
        }
    }

    /// Ends a node without remaining references, whose children can only be functions. Returns its
    /// parent.
    fn let_go(&mut self) -> Option<Arc<Cancellation>> {
        let parent = self.parent.take();
        if let Some(parent) = &parent {
            drop(parent.unregister(&self.place));
        }
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let children = mem::take(&mut state.children);
        if let Some(alarm) = state.alarm.take() {
            alarm.stop();
        }
        let functions = children.into_iter().filter_map(|(_, child)| match child {
            Child::Function(function) => Some(function),
            // No child context is left: each one holds a reference to this node until it has
            // unregistered itself.
            Child::Context(_) => None,
        });
        functions::start(functions);
        parent
    }
}

impl Drop for Cancellation {
    fn drop(&mut self) {
        // A loop and no recursion: the chain may be longer than the stack is deep. The channel's
        // only sender is dropped with the node, which closes the channel.
        let mut parent = self.let_go();
        while let Some(mut node) = parent.and_then(Arc::into_inner) {
            parent = node.let_go();
        }
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancellation")
            .field("err", &self.status())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
