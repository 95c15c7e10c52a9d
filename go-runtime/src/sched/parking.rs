//! What the scheduler offers to a wait: leaving the stack, and the three ways back into the run
//! queue.
//!
//! A waiting goroutine becomes runnable again
//! - by code on its own worker: [`Worker::make_ready`], without atomics;
//! - by any other thread, through the inbox of its worker: [`OwnerWorker::deliver`];
//! - by its worker's clock: [`Worker::suspend_until`], which calls a [`Sleeper`].
//!
//! The scheduler knows only two things of a wait: the [`InboxNode`], a place in a list, and the
//! sleeper, a function with an address. Only `wait` knows how the wait is claimed and how it ended;
//! `wait` imports this module, and this module does not import `wait`.

use std::ptr::{self, NonNull};
use std::time::Instant;

use super::fiber::Fiber;
use super::inbox::Node;
use super::shared::WorkerShared;
use super::sleeper::Sleeper;
use super::worker::Worker;

/// A goroutine's place in the inbox of its worker. The payload is `None` if a thread or a future
/// waits; such a node is never delivered.
pub(crate) type InboxNode = Node<Option<NonNull<Fiber>>>;

/// The worker that a goroutine belongs to, as its waker sees the worker from any thread.
#[derive(Clone, Copy)]
pub(crate) struct OwnerWorker(&'static WorkerShared);

impl OwnerWorker {
    /// Returns the worker if the calling thread is the worker's own.
    #[inline]
    pub(crate) fn if_here(self) -> Option<&'static Worker> {
        Worker::current().filter(|worker| ptr::eq(worker.shared(), self.0))
    }

    /// Puts a chain of woken goroutines (see [`Node::link`]) into the worker's inbox, and wakes the
    /// worker if it sleeps.
    ///
    /// # Safety
    /// Each node of the chain holds a goroutine that is parked on this worker, is in no inbox, and
    /// stays valid until the worker resumes the goroutine.
    #[inline]
    pub(crate) unsafe fn deliver(self, last: *const InboxNode, first: *const InboxNode) {
        // SAFETY: the caller vouches that each node is in no inbox, and valid until the worker has
        // drained the inbox and resumed the goroutine, which is what the push requires.
        unsafe { self.0.deliver(last, first) };
    }
}

impl PartialEq for OwnerWorker {
    #[inline]
    fn eq(&self, other: &OwnerWorker) -> bool {
        ptr::eq(self.0, other.0)
    }
}

impl Worker {
    /// Returns what the wakers of this worker's goroutines need to know of the worker.
    #[inline]
    pub(crate) fn as_owner(&self) -> OwnerWorker {
        OwnerWorker(self.shared())
    }

    /// Returns whether the inbox holds anything. The answer may be a moment old.
    #[inline]
    pub(crate) fn inbox_nonempty(&self) -> bool {
        self.shared().sleep.inbox_nonempty()
    }

    /// Leaves the current goroutine's stack until the goroutine is made runnable, by its waker or,
    /// at `deadline`, through `sleeper`.
    ///
    /// # Safety
    /// The sleeper's function may be called on this thread, with the sleeper's address, until this
    /// call returns.
    #[inline(always)]
    pub(crate) unsafe fn suspend_until(&self, deadline: Instant, sleeper: Sleeper) {
        // SAFETY: the caller allows calls of the sleeper until this function returns. The timer is
        // removed before that, and nothing in between unwinds.
        let timer = unsafe { self.add_timer(deadline, sleeper) };
        self.suspend();
        self.remove_timer(timer);
    }
}
