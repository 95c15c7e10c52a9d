//! One blocked operation of a future.
//!
//! It lies in memory of its own, since a future may move, or be leaked, while others know the
//! waiter by its address. The future may go at any time:
//! - nobody has claimed the wait: the future does, under the channel's lock, and takes the waiter
//!   out;
//! - somebody has, and will end it (at once, or when the `send` arm of a select has made its
//!   value): what remains is left to that one. A message that was handed over goes back into the
//!   channel; one that could not be sent is dropped.

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

/// Its owner ends it with [`finish`](Self::finish) or [`cancel`](Self::cancel).
#[must_use]
pub(super) struct Pending<T> {
    core: Arc<Core<T>>,
    side: Side,
    wait: NonNull<Wait<T>>,
    wakeup: Arc<Wakeup>,
}

// SAFETY: who owns this owns the wait, but for what the one who has claimed it does with it, and
// the protocol of parker and wakeup keeps the two apart. The message in the slot, if any, goes with
// it, hence `T: Send`.
unsafe impl<T: Send> Send for Pending<T> {}
// SAFETY: as above; of those who share it nobody but the owner calls anything.
unsafe impl<T: Send> Sync for Pending<T> {}

/// How a wait has ended.
pub(super) enum Ended<T> {
    /// It was served. A receiver has its message.
    Done(Option<T>),
    /// The channel was closed. A sender has its message back.
    Closed(Option<T>),
    /// A receiver's partner took its offer back.
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
        // SAFETY: allocated until `free`, and used through shared references only.
        unsafe { self.wait.as_ref() }
    }

    /// To be put into a queue of the channel, once.
    pub(super) fn waiter(&self) -> &Waiter {
        &self.wait().waiter
    }

    /// Puts in the message to be sent.
    ///
    /// # Safety
    /// The waiter has not been queued yet, and there is no message in it.
    pub(super) unsafe fn put(&self, message: T) {
        // SAFETY: nobody else uses the slot, which is empty.
        unsafe { self.wait().slot.put(message) };
    }

    /// Has a chosen `send` arm of a select make its message for this receiver.
    ///
    /// # Safety
    /// The waiter has not been queued. `sender` is a promise of this channel.
    pub(super) unsafe fn await_promise(&self, sender: Taken) {
        // Nobody else knows this parker: we claim it for the sender.
        let claimed = self.wait().parker.claim();
        debug_assert!(claimed);
        let waiter = std::ptr::from_ref(self.waiter());
        // The sender then ends this wait, in any case.
        sender.set_slot(waiter.cast_mut().cast());
        sender.finish();
    }

    /// Whether the wait is over; if not, the task of `waker` will be woken.
    pub(super) fn poll(&self, waker: &Waker) -> bool {
        self.wakeup.poll(waker)
    }

    /// The outcome of a wait that is over.
    ///
    /// # Safety
    /// [`poll`](Self::poll) has said so, or whoever ends it has called us.
    pub(super) unsafe fn finish(self) -> Ended<T> {
        let wait = self.wait();
        // SAFETY: the wait is over, so nobody else uses the slot, and what is said of it here is so
        // by the protocol.
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
        // SAFETY: the wait is over.
        unsafe { self.free() };
        ended
    }

    /// The future goes before the wait is over (or without having looked).
    pub(super) fn cancel(self) {
        let wait = self.wait();
        let mut state = self.core.lock();
        if wait.parker.claim() {
            // SAFETY: if the waiter is in a queue, it is in this one.
            unsafe {
                match self.side {
                    Side::Send => state.senders.remove(&wait.waiter),
                    Side::Receive => state.receivers.remove(&wait.waiter),
                }
            }
            drop(state);
            // SAFETY: we claimed the wait, so nobody has taken the message, and nobody will.
            let message = (self.side == Side::Send).then(|| unsafe { wait.slot.take() });
            // SAFETY: it is in no queue, and claimed by us.
            unsafe { self.free() };
            drop(message);
            return;
        }
        drop(state);
        let wakeup = Arc::clone(&self.wakeup);
        // SAFETY: whoever ends the wait has an end of this channel, so what a `T` borrows is alive
        // then. If a `T` is not `Send` the ends and futures of its channel are all on one thread,
        // but for a `Select`, which may have been sent elsewhere. It ends a wait by taking a
        // sender's message or breaking a promise, and `settle` then has no `T` in hand; nor is its
        // share of the channel the last, for a select borrows an end. A wait that is never ended
        // keeps its own memory, its parker and so the wakeup, for ever.
        unsafe { wakeup.abandon(Box::new(move || self.settle())) };
    }

    /// What is left to do, when the wait is over, for a future that has gone.
    fn settle(self) {
        let core = Arc::clone(&self.core);
        // SAFETY: this is called by the one who ends the wait, or after the end.
        match unsafe { self.finish() } {
            Ended::Done(Some(message)) => core.give_back(message),
            Ended::Done(None) | Ended::Closed(_) | Ended::Retry => {}
        }
    }

    /// # Safety
    /// The waiter is in no queue, and nobody else uses the wait any more.
    unsafe fn free(self) {
        // SAFETY: leaked in `new`; by the contract ours again.
        drop(unsafe { Box::from_raw(self.wait.as_ptr()) });
    }
}

/// One that has been made and may turn out not to be needed. It has not been queued, and holds no
/// message.
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
            // Its waker is others' code, and must not stop the message that made it superfluous.
            let freed = panic::catch_unwind(AssertUnwindSafe(|| {
                // SAFETY: nobody has ever known of it.
                unsafe { pending.free() }
            }));
            // (Nor must the payload's own `Drop`.)
            freed.unwrap_or_else(mem::forget);
        }
    }
}
