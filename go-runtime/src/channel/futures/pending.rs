//! [`Pending`]: one waiting operation of a future.
//!
//! The wait lies in memory of its own, since a future may move, or be leaked, while the channel's
//! queue and its partner know the waiter by its address. The future may be dropped at any time:
//! - if the wait has not been claimed, the future claims it, under the channel's lock, and takes
//!   the waiter out of the queue;
//! - if a partner or a close has claimed the wait, the claiming thread will end it (at once, or
//!   when the `send` arm of a select has made its value), and does then what remains to be done. A
//!   message that was handed over goes back into the channel; a message that could not be sent is
//!   dropped.

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;

use crate::channel::core::Core;
use crate::channel::slot::Wait;
use crate::wait::{Claim, Parker, Taken, Verdict, Waiter, Wakeup};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Send,
    Receive,
}

/// A waiting operation, which its owner ends with [`finish`](Self::finish) or
/// [`cancel`](Self::cancel).
#[must_use]
pub(super) struct Pending<T> {
    core: Arc<Core<T>>,
    side: Side,
    wait: NonNull<Wait<T>>,
    wakeup: Arc<Wakeup>,
}

// SAFETY: the owner of this owns the wait, except that the thread that has claimed the wait uses
// the slot and the parker until it ends the wait; the owner uses the slot only after `wakeup` has
// reported that end, or after a claim of its own. A message in the slot moves with this value,
// hence `T: Send`.
unsafe impl<T: Send> Send for Pending<T> {}
// SAFETY: the methods that use the wait are called only by the owner, from methods that have
// exclusive access to the future. So a shared reference to a `Pending` on another thread gives
// access to nothing.
unsafe impl<T: Send> Sync for Pending<T> {}

/// The outcome of a wait.
pub(super) enum Ended<T> {
    /// The operation was served. A receive has its message.
    Done(Option<T>),
    /// The channel was closed. A send has its message back.
    Closed(Option<T>),
    /// The sender, a `send` arm, made no message: the receive begins again.
    Retry,
}

impl<T> Pending<T> {
    fn new(core: &Arc<Core<T>>, side: Side, waker: &Waker) -> Pending<T> {
        let wakeup = Arc::new(Wakeup::new(waker.clone()));
        let parker = Parker::for_future(Arc::clone(&wakeup));
        let wait = Box::new(Wait::with(parker, Claim::Contested));
        wait.waiter.set_up(&wait.parker, 0, wait.slot.as_ptr());
        Pending {
            core: Arc::clone(core),
            side,
            wait: NonNull::from(Box::leak(wait)),
            wakeup,
        }
    }

    fn wait(&self) -> &Wait<T> {
        // SAFETY: the wait was allocated in `new` and stays so until `free`, which takes `self`.
        // Until then it is used through shared references only.
        unsafe { self.wait.as_ref() }
    }

    /// Returns the waiter, to be put into a queue of the channel, once.
    pub(super) fn waiter(&self) -> &Waiter {
        &self.wait().waiter
    }

    /// Puts the message to be sent into the slot.
    ///
    /// # Safety
    /// The waiter has not been queued yet, and there is no message in the slot.
    pub(super) unsafe fn put(&self, message: T) {
        // SAFETY: the caller says that the slot is empty and the waiter has not been queued, so no
        // other thread knows the slot.
        unsafe { self.wait().slot.put(message) };
    }

    /// Tells a chosen `send` arm of a select to make its message for this receiver.
    ///
    /// # Safety
    /// The waiter has not been queued. `sender` is a promise of this channel.
    pub(super) unsafe fn await_promise(&self, sender: Taken) {
        // Claims the wait on the sender's behalf. The claim succeeds, because no other thread knows
        // this parker.
        let claimed = self.wait().parker.claim();
        debug_assert!(claimed);
        let waiter = std::ptr::from_ref(self.waiter());
        // Tells the sender of this waiter, through the sender's slot. From now on the sender will
        // end this wait in any case, with a message or without.
        sender.set_slot(waiter.cast_mut().cast());
        sender.finish();
    }

    /// Returns whether the wait is over. If it is not, the task of `waker` will be woken at its
    /// end.
    pub(super) fn poll(&self, waker: &Waker) -> bool {
        self.wakeup.poll(waker)
    }

    /// Returns the outcome of a wait that is over, and frees the wait.
    ///
    /// # Safety
    /// The wait is over: [`poll`](Self::poll) has returned so, or the thread that ends the wait
    /// calls this.
    pub(super) unsafe fn finish(self) -> Ended<T> {
        let wait = self.wait();
        // SAFETY: the caller says that the wait is over, so no other thread uses the slot. A
        // receive that ended with `Done` has been given a message, and a send that ended with
        // `Closed` still has its own; each is taken once, since `self` is used up.
        let ended = unsafe {
            match (wait.parker.verdict(), self.side) {
                (Verdict::Done(_), Side::Send) => Ended::Done(None),
                (Verdict::Done(_), Side::Receive) => Ended::Done(Some(wait.slot.take())),
                (Verdict::Closed(_), Side::Send) => Ended::Closed(Some(wait.slot.take())),
                (Verdict::Closed(_), Side::Receive) => Ended::Closed(None),
                (Verdict::Retry, Side::Receive) => Ended::Retry,
                (verdict, _) => unreachable!("no way for a future's wait to end: {verdict:?}"),
            }
        };
        // SAFETY: the wait is over, so the thread that ended it has taken the waiter out of its
        // queue and uses the wait no more.
        unsafe { self.free() };
        ended
    }

    /// Ends the operation of a future that is dropped before it has seen the end of the wait.
    pub(super) fn cancel(self) {
        let wait = self.wait();
        let mut state = self.core.lock();
        if wait.parker.claim() {
            // SAFETY: if the waiter is in a queue, it is the queue of this channel for its side.
            unsafe {
                match self.side {
                    Side::Send => state.senders.remove(&wait.waiter),
                    Side::Receive => state.receivers.remove(&wait.waiter),
                }
            }
            drop(state);
            // SAFETY: this call has claimed the wait, so no receiver has taken the message or will
            // take it. A queued send has its message in the slot.
            let message = (self.side == Side::Send).then(|| unsafe { wait.slot.take() });
            // SAFETY: the waiter was taken out of its queue above, and this call has claimed the
            // wait, so no other thread uses it.
            unsafe { self.free() };
            drop(message);
            return;
        }
        drop(state);
        let wakeup = Arc::clone(&self.wakeup);
        // SAFETY: the thread that ends the wait has an end of this channel, so what a `T` borrows
        // is alive then. If `T` is not `Send`, all ends and futures of its channel are on one
        // thread, except for a `Select`, which may have been sent to another thread. A `Select`
        // ends a wait only by taking a sender's message or by breaking a promise, and `settle` then
        // handles no `T`. Nor does `settle` drop the last share of the channel then, because a
        // select borrows an end. If a wait is never ended, its own memory, its parker and so the
        // wakeup are never freed.
        unsafe { wakeup.abandon(Box::new(move || self.settle())) };
    }

    /// Finishes the wait of a dropped future after the wait has ended: gives a received message
    /// back to the channel.
    fn settle(self) {
        let core = Arc::clone(&self.core);
        // SAFETY: `abandon` runs this when the wait ends, on the thread that ends it, or at once if
        // the wait is over already.
        match unsafe { self.finish() } {
            Ended::Done(Some(message)) => core.give_back(message),
            Ended::Done(None) | Ended::Closed(_) | Ended::Retry => {}
        }
    }

    /// # Safety
    /// The waiter is in no queue, and no other thread uses the wait any more.
    unsafe fn free(self) {
        // SAFETY: `new` leaked this box. The caller says that no other thread uses it any more, and
        // `self` is used up, so it is freed once.
        drop(unsafe { Box::from_raw(self.wait.as_ptr()) });
    }
}

/// A [`Pending`] that is made in advance, and is freed if the operation need not wait. It is not
/// queued, and holds no message.
pub(super) struct Spare<T>(Option<Pending<T>>);

impl<T> Spare<T> {
    pub(super) fn none() -> Spare<T> {
        Spare(None)
    }

    pub(super) fn new(core: &Arc<Core<T>>, side: Side, waker: &Waker) -> Spare<T> {
        Spare(Some(Pending::new(core, side, waker)))
    }

    pub(super) fn take(&mut self) -> Option<Pending<T>> {
        self.0.take()
    }
}

impl<T> From<Pending<T>> for Spare<T> {
    fn from(unused: Pending<T>) -> Spare<T> {
        Spare(Some(unused))
    }
}

impl<T> Drop for Spare<T> {
    fn drop(&mut self) {
        if let Some(pending) = self.0.take() {
            // Dropping the waker runs the executor's code. A panic in it must not lose the message
            // that made this wait superfluous.
            let freed = panic::catch_unwind(AssertUnwindSafe(|| {
                // SAFETY: a `Spare` has never been queued, so no other thread knows the wait.
                unsafe { pending.free() }
            }));
            // (A panic in the `Drop` of the payload must not lose the message either.)
            freed.unwrap_or_else(mem::forget);
        }
    }
}
