//! A wait list: a spin lock, the state that it guards, and the queue of the operations that wait
//! for the state to change.
//!
//! Any thread may use a list. [`WaitList::with`] runs a closure under the lock; the closure must
//! neither panic, block, nor come back to the same list, or the lock stays taken for ever.
//!
//! No wake-up is lost. [`WaitList::wait`] decides whether to wait, and puts its waiter into the
//! queue, under one holding of the lock. A thread that makes the wait unnecessary does so either
//! under the lock, or before it takes the lock to look for waiters. So either the waiting operation
//! sees the change, or the changing thread finds the waiter in the queue.
//!
//! # Why this is sound
//!
//! 1. *The state and the queue are reached under the lock only.* [`Held`] is the only way to both.
//!    A `Held` exists inside of [`WaitList::with`] and [`View::wait_with`], which lock before and
//!    unlock after, and where the caller of the unsafe [`WaitList::held`] has locked. A `Held`
//!    cannot leave the closure that gets it, because the closure's result cannot name the lifetime.
//! 2. *A waiter in the queue, and its parker, are valid under the lock.* `wait_with` makes both in
//!    its own frame, and pushes the waiter under the lock. Its frame ends only after the park,
//!    which returns for one of two reasons. Either another thread ended the wait: that thread had
//!    claimed the wait through a [`Taken`] or a [`Claimed`], which come out of the queue under the
//!    lock, so the waiter is out. Or the clock ended the wait: then `wait_with` takes the waiter
//!    out itself, under the lock. Nothing between the push and the park unwinds, nor parks on
//!    another parker.
//! 3. *A wait is ended once.* A wait without a deadline is in this queue only, and so claimed by
//!    being taken out of it. A wait with a deadline may be claimed by the clock too: the parker's
//!    handshake decides.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::time::Instant;

use super::claimed::Claimed;
use super::parker::Parker;
use super::queue::WaitQueue;
use super::reason::{WaitReason, Why};
use super::taken::Taken;
use super::verdict::Verdict;
use super::waiter::{Claim, Offer, Waiter};
use crate::primitives::const_fn;
use crate::primitives::spin_lock::RawSpinLock;

/// What the lock of a wait list guards.
pub(crate) struct Guarded<T> {
    queue: WaitQueue,
    state: T,
}

impl<T> Guarded<T> {
    pub(crate) const fn new(state: T) -> Guarded<T> {
        Guarded {
            queue: WaitQueue::new(),
            state,
        }
    }
}

#[repr(C)]
pub(crate) struct WaitList<T = ()> {
    guarded: UnsafeCell<Guarded<T>>,
    lock: RawSpinLock,
}

// SAFETY: `guarded` is used only by the thread that holds `lock` (point 1 at the head of this
// file), so a list that is shared hands its state from thread to thread, hence `T: Send`.
unsafe impl<T: Send> Sync for WaitList<T> {}

/// The decision of an operation that has examined the state, under the lock.
pub(crate) enum Decision<R> {
    /// There is nothing to wait for.
    Go(R),
    /// Wait at the end of the queue.
    Wait,
    /// Wait at the end of the queue, until that moment at the latest.
    WaitUntil(Option<Instant>),
    /// Wait at the front of the queue.
    WaitInFront,
}

/// The result of a call of [`WaitList::wait`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waited<R> {
    /// The call returned at once, because there was nothing to wait for.
    Not(R),
    /// Another thread has taken the waiter out of the queue, and ended the wait.
    Woken,
    TimedOut,
}

impl<T> WaitList<T> {
    const_fn! {
        pub(crate) fn new(state: T) -> WaitList<T> {
            WaitList {
                guarded: UnsafeCell::new(Guarded::new(state)),
                lock: RawSpinLock::new(),
            }
        }
    }

    #[inline(always)]
    fn view(&self) -> View<'_, T> {
        View {
            guarded: &self.guarded,
            lock: &self.lock,
        }
    }

    /// Runs `f` under the lock.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Held<'_, T>) -> R) -> R {
        self.view().with(f)
    }

    /// Waits to be taken out of the queue, unless `decide`, which runs under the lock, finds
    /// nothing to wait for.
    // Inlined, as a switch should be (see `parker`).
    #[inline(always)]
    pub(crate) fn wait<R>(
        &self,
        reason: WaitReason,
        decide: impl FnOnce(&mut Held<'_, T>) -> Decision<R>,
    ) -> Waited<R> {
        self.view().wait(reason, decide)
    }

    /// Waits like [`wait`](Self::wait), but without a decision, until `deadline`, and calls
    /// `before_park` once the waiter is in the queue and the lock has been given back.
    ///
    /// # Safety
    /// `before_park` neither unwinds nor parks.
    pub(crate) unsafe fn wait_after(
        &self,
        reason: WaitReason,
        before_park: impl FnOnce(),
        deadline: Option<Instant>,
    ) -> Waited<()> {
        let decide = |_: &mut Held<'_, T>| Decision::WaitUntil(deadline);
        // SAFETY: the caller says that `before_park` neither unwinds nor parks.
        unsafe { self.view().wait_with(reason, decide, before_park) }
    }

    /// Wakes the first waiter.
    pub(crate) fn wake_one(&self) {
        if let Some(first) = self.with(|held| held.take()) {
            first.finish();
        }
    }

    /// Wakes all waiters.
    pub(crate) fn wake_all(&self) {
        self.with(|held| held.take_all()).finish();
    }

    /// Returns the lock, for a select, which takes the locks of all its arms.
    pub(crate) fn raw_lock(&self) -> &RawSpinLock {
        &self.lock
    }

    /// Returns access to the state and the queue for a caller that has locked by
    /// [`raw_lock`](Self::raw_lock).
    ///
    /// # Safety
    /// The calling thread holds the lock for as long as the result is in use, and uses no other
    /// access to this list meanwhile.
    pub(crate) unsafe fn held(&self) -> Held<'_, T> {
        // SAFETY: the lock is held, says the caller, and this is the only reference in use.
        Held(unsafe { &mut *self.guarded.get() })
    }
}

/// A wait list whose lock lies apart from what the lock guards.
pub(crate) struct View<'a, T> {
    guarded: &'a UnsafeCell<Guarded<T>>,
    lock: &'a RawSpinLock,
}

impl<'a, T> View<'a, T> {
    /// # Safety
    /// All code that uses `guarded` holds `lock`, and `lock` guards nothing else.
    #[inline(always)]
    pub(crate) unsafe fn new(
        guarded: &'a UnsafeCell<Guarded<T>>,
        lock: &'a RawSpinLock,
    ) -> View<'a, T> {
        View { guarded, lock }
    }

    /// Runs `f` under the lock.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Held<'_, T>) -> R) -> R {
        self.lock.lock();
        // SAFETY: the lock is held, so no other reference to what it guards exists until the lock
        // is given back below.
        let result = f(&mut Held(unsafe { &mut *self.guarded.get() }));
        // SAFETY: the lock was taken above, and the reference has ended: the type of the result
        // cannot name its lifetime.
        unsafe { self.lock.unlock() };
        result
    }

    /// See [`WaitList::wait`].
    #[inline(always)]
    pub(crate) fn wait<R>(
        &self,
        reason: WaitReason,
        decide: impl FnOnce(&mut Held<'_, T>) -> Decision<R>,
    ) -> Waited<R> {
        // SAFETY: the empty closure neither unwinds nor parks.
        unsafe { self.wait_with(reason, decide, || ()) }
    }

    /// # Safety
    /// `before_park` neither unwinds nor parks.
    #[inline(always)]
    unsafe fn wait_with<R>(
        &self,
        reason: WaitReason,
        decide: impl FnOnce(&mut Held<'_, T>) -> Decision<R>,
        before_park: impl FnOnce(),
    ) -> Waited<R> {
        let parker = Parker::new();
        self.lock.lock();
        // SAFETY: the lock is held, so no other reference to what it guards exists until the lock
        // is given back below.
        let mut held = Held(unsafe { &mut *self.guarded.get() });
        let (until, in_front) = match decide(&mut held) {
            Decision::Go(result) => {
                // SAFETY: the lock was taken above, and `held` is not used any more.
                unsafe { self.lock.unlock() };
                return Waited::Not(result);
            }
            Decision::Wait => (None, false),
            Decision::WaitUntil(until) => (until, false),
            Decision::WaitInFront => (None, true),
        };
        let waiter = Waiter::new(Offer::Message, Claim::until(until));
        waiter.set_up(&parker, 0, ptr::null_mut());
        parker.note(Why::new(reason, self.guarded).open_if(until.is_some()));
        // SAFETY: the waiter is new, and has been set up. It is out of the queue before this frame
        // ends, as point 2 at the head of this file says.
        unsafe {
            if in_front {
                held.0.queue.push_front(&waiter);
            } else {
                held.0.queue.push(&waiter);
            }
        }
        // SAFETY: the lock was taken above, and `held` is not used any more.
        unsafe { self.lock.unlock() };
        before_park();
        if parker.park(until) == Verdict::TimedOut {
            // SAFETY: this is the only queue that the waiter has been in.
            self.with(|held| unsafe { held.remove(&waiter) });
            return Waited::TimedOut;
        }
        Waited::Woken
    }
}

/// Access to what the lock of a wait list guards, for as long as the lock is held: the state, to
/// which this dereferences, and the queue.
pub(crate) struct Held<'a, T>(&'a mut Guarded<T>);

impl<T> Held<'_, T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.queue.is_empty()
    }

    /// Takes the first waiter out, to end its wait once the lock has been given back.
    pub(crate) fn take(&mut self) -> Option<Taken> {
        self.0.queue.take()
    }

    /// Takes all waiters out, to end their waits once the lock has been given back.
    pub(crate) fn take_all(&mut self) -> Claimed {
        self.0.queue.take_all()
    }

    /// Takes all waiters out, and puts them behind those in `claimed`.
    pub(crate) fn take_all_into(&mut self, claimed: &mut Claimed) {
        self.0.queue.take_all_into(claimed);
    }

    /// Puts a waiter that the caller has made at the end of the queue.
    ///
    /// # Safety
    /// The contract of [`WaitQueue::push`].
    pub(crate) unsafe fn push(&mut self, waiter: &Waiter) {
        // SAFETY: the caller upholds the contract of `WaitQueue::push`.
        unsafe { self.0.queue.push(waiter) };
    }

    /// Removes a waiter that the caller pushed from the queue, if the waiter is still in it.
    ///
    /// # Safety
    /// If `waiter` is in a queue, it is in this list's.
    pub(crate) unsafe fn remove(&mut self, waiter: &Waiter) {
        // SAFETY: the caller says that the waiter is in this queue or in none.
        unsafe { self.0.queue.remove(waiter) };
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0.state
    }
}

impl<T> DerefMut for Held<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0.state
    }
}
