//! The tree of what can be cancelled.
//!
//! A [`Cancellation`] owns its parent, so whatever can end it is there for as long as it is itself.
//! The parent knows it by a weak reference, in a slab, out of which it takes itself when it ends or
//! goes.
//!
//! Invariants:
//! - `status` says once, under the lock of `state`, that it has ended; from then on `children` is
//!   empty and stays so. So a child is either in it when its parent ends, and is told, or finds
//!   that the parent has ended.
//! - Who is told by `err` that it has ended finds the channel closed, and the other way round: the
//!   channel is closed after `status` has changed, and who asks in between closes it too.
//! - No lock is held while another one is taken, nor while anything of a user's runs or is dropped:
//!   a cause, a function, a waker.
//! - Nothing here recurses along the tree: chains may be longer than a stack is deep.

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
    /// The nearest one above that can be cancelled.
    parent: Option<Arc<Cancellation>>,
    /// Where it is in the parent's `children`.
    place: Place,
    /// Made when somebody asks for it, under the lock of `state`; closed by the end.
    done: OnceLock<(Sender<()>, Receiver<()>)>,
    status: AtomicU8,
    /// The earliest of its own and those above.
    deadline: Option<Instant>,
    /// What happens at the deadline, if that is its own.
    own: Option<Own>,
    /// The handles that cancel it when the last of them is dropped.
    pub(super) handles: AtomicUsize,
    state: Mutex<State>,
}

/// A deadline of a context's own, with what it was cancelled for when it passes.
pub(super) struct Own {
    pub(super) deadline: Instant,
    pub(super) cause: Option<Cause>,
}

struct State {
    cause: Option<Cause>,
    children: Slab<Child>,
    alarm: Option<AfterFunc>,
}

/// Who is told of the end.
pub(super) enum Child {
    Context(Weak<Cancellation>),
    Function(Function),
}

/// Where a child is in its parent's slab. Who takes this out has the right to take that out, so
/// that it happens once: the place may be another's afterwards.
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

    /// Before anybody but its owner, or the holder of the parent's lock, could take it.
    fn set(&self, place: usize) {
        self.0.store(place, Ordering::Relaxed);
    }
}

/// What `status` says: one of the first three, and of the others whether the channel has been
/// closed as well.
const LIVE: u8 = 0;
const CANCELED: u8 = 1;
const DEADLINE_EXCEEDED: u8 = 2;
const CLOSED: u8 = 4;

/// A slab of so many places keeps its memory when it becomes empty.
const FEW: usize = 64;

impl Cancellation {
    /// One that ends with `parent`, and at `own` deadline if that comes before the parent's.
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
            // Cancelled in the meantime, from above.
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
        // Under the lock, so that either `end` finds it, or the end is seen here.
        let _state = self.lock();
        let (_, done) = self.done.get_or_init(|| {
            let channel = bounded(0);
            if self.status().is_some() {
                // (Nobody waits, so this runs nobody's code.)
                channel.0.close();
            }
            channel
        });
        done
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether it has ended, as far as somebody has said so.
    pub(super) fn status(&self) -> Option<ContextError> {
        match self.status.load(Ordering::Acquire) & !CLOSED {
            LIVE => None,
            CANCELED => Some(ContextError::Canceled),
            _ => Some(ContextError::DeadlineExceeded),
        }
    }

    /// Whether it has ended, with the channel closed. It looks at the clock itself: the alarm's
    /// goroutine may wait behind the caller.
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

    /// Of one that has ended. Several may do so at once.
    #[cold]
    fn close(&self) {
        if let Some((closer, _)) = self.done.get() {
            closer.close();
        }
        self.status.fetch_or(CLOSED, Ordering::Release);
    }

    /// What it was cancelled for, if it has ended.
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

    /// Why it has ended, if somebody has said so.
    fn ended_for(&self) -> Option<Reason> {
        let state = self.lock();
        self.status().map(|error| self.reason(error, &state))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could panic happens under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `child` told of the end. If that has come already, it is given back with the reason.
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

    /// Takes a child out, unless it has been, or is being, told of the end.
    pub(super) fn unregister(&self, place: &Place) -> Option<Child> {
        let place = place.take()?;
        let mut state = self.lock();
        let child = state.children.try_remove(place);
        if state.children.is_empty() && state.children.capacity() > FEW {
            state.children = Slab::new();
        }
        child
    }

    /// The deadline has passed: whoever's it is is cancelled for it, with all that were derived
    /// from there.
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
                None => unreachable!("a deadline is somebody's own"),
            }
        };
        // Somebody else may be in the midst of the same, and not have come to this one.
        if !Arc::ptr_eq(whose, self) {
            self.cancel(reason);
        }
    }

    /// Ends it and all its descendants, unless it has ended: then it does nothing.
    pub(super) fn cancel(self: &Arc<Self>, reason: Reason) {
        let (mut contexts, mut functions) = (Vec::new(), Vec::new());
        if let Some(parent) = &self.parent {
            drop(parent.unregister(&self.place));
        }
        self.end(&reason, &mut contexts, &mut functions);
        while let Some(child) = contexts.pop() {
            // One that is gone is being dropped, which ends it as well.
            if let Some(child) = Weak::upgrade(&child) {
                child.place.take();
                child.end(&reason, &mut contexts, &mut functions);
            }
        }
        // Last: they find everything cancelled.
        functions::start(functions);
    }

    /// Ends this one only, and says who has to be told.
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

    /// Ends a node that nobody has any more: its children are functions only. Gives back what it
    /// was the child of.
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
            // One that is being dropped takes itself out first: it has a reference to this one
            // until then.
            Child::Context(_) => None,
        });
        functions::start(functions);
        parent
    }
}

impl Drop for Cancellation {
    fn drop(&mut self) {
        // One after the other, as for values. That the channel's only sender goes closes it.
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
