//! Observing a channel: an observer is woken when a receive need not wait any more, and receives
//! nothing. A select that only asks which arm is ready observes its channels, and so does an
//! operation that a done channel may end.
//!
//! An observer is a waiter in a queue beside those of the operations. A channel with a lock keeps
//! the queue under that lock. A channel without a lock ([`after`](super::after),
//! [`tick`](super::tick)) becomes ready with time only, so its observer waits for a moment and is
//! in no queue.

use std::time::Instant;

use super::state::Observed;
use super::{Receiver, Source};
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{Observable, Readiness, Waiter};

// SAFETY: a waiter leaves the channel's queue under the channel's lock, either when it is taken out
// to be woken, or in `stop_observing`. A channel without a lock has no queue.
unsafe impl<T> Observable for Receiver<T> {
    fn is_ready(&self) -> bool {
        // SAFETY: `with_lock` runs the closure under the channel's lock.
        self.with_lock(|| unsafe { self.is_ready_locked() })
    }

    unsafe fn observe(&self, waiter: &Waiter) -> Readiness {
        self.with_lock(|| {
            // SAFETY: `with_lock` runs the closure under the channel's lock. The caller says that
            // the waiter is set up, in no queue, and stays until it has been told or taken out.
            unsafe {
                if self.is_ready_locked() {
                    return Readiness::Ready;
                }
                self.observe_locked(waiter);
                Readiness::Waits(self.due_locked())
            }
        })
    }

    unsafe fn stop_observing(&self, waiter: &Waiter) {
        // SAFETY: `with_lock` runs the closure under the channel's lock. The caller says that the
        // waiter is in no other channel's queue.
        self.with_lock(|| unsafe { self.stop_observing_locked(waiter) });
    }
}

impl<T> Receiver<T> {
    /// Returns the lock that guards the channel, if it has one.
    pub(crate) fn raw_lock(&self) -> Option<&RawSpinLock> {
        match self.source() {
            Source::Core(core) => Some(core.raw_lock()),
            Source::Timer(timer) => Some(timer.raw_lock()),
            Source::At(_) | Source::Tick(_) | Source::Never => None,
        }
    }

    /// Runs `f` under the channel's lock, if it has one. `f` must not panic, and must not make an
    /// observed operation possible, as no observer is woken.
    fn with_lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let lock = self.raw_lock();
        lock.inspect(|lock| lock.lock());
        let result = f();
        // SAFETY: the lock was taken above, and `f`, which has used the state, has ended.
        lock.inspect(|lock| unsafe { lock.unlock() });
        result
    }

    /// Returns whether a receive need not wait.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(crate) unsafe fn is_ready_locked(&self) -> bool {
        match self.source() {
            // SAFETY: the caller holds the lock, and the reference ends with the expression.
            Source::Core(core) => unsafe { core.state() }.can_receive(core.capacity()),
            Source::At(at) => at.is_ready(),
            Source::Tick(tick) => tick.is_ready(),
            // SAFETY: the caller holds the lock, and the access ends with the expression.
            Source::Timer(timer) => unsafe { timer.state() }.is_ready(),
            Source::Never => false,
        }
    }

    /// Returns when a receive need not wait any more, if the channel becomes ready with time.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(crate) unsafe fn due_locked(&self) -> Option<Instant> {
        match self.source() {
            Source::Core(_) | Source::Never => None,
            Source::At(at) => at.due(),
            Source::Tick(tick) => tick.due(),
            // SAFETY: the caller holds the lock, and the access ends with the expression.
            Source::Timer(timer) => unsafe { timer.state() }.due(),
        }
    }

    /// Queues an observer.
    ///
    /// # Safety
    /// The contract of [`Observable::observe`], and the caller holds the lock.
    pub(crate) unsafe fn observe_locked(&self, waiter: &Waiter) {
        match self.source() {
            // SAFETY: the caller holds the lock, and says that the waiter is set up, in no queue,
            // and taken out again before it ends.
            Source::Core(core) => unsafe {
                core.state().enqueue_observer(Observed::Receive, waiter);
            },
            // SAFETY: the caller holds the lock, and says that the waiter is set up, in no queue,
            // and taken out again before it ends.
            Source::Timer(timer) => unsafe { timer.state().push(waiter) },
            // These channels become ready with time only, so no event would wake an observer.
            Source::At(_) | Source::Tick(_) | Source::Never => {}
        }
    }

    /// Takes an observer out of its queue if it is still queued.
    ///
    /// # Safety
    /// The contract of [`Observable::stop_observing`], and the caller holds the lock.
    pub(crate) unsafe fn stop_observing_locked(&self, waiter: &Waiter) {
        match self.source() {
            // SAFETY: the caller holds the lock, and says that the waiter is in this queue or in
            // none.
            Source::Core(core) => unsafe {
                core.state().dequeue_observer(Observed::Receive, waiter);
            },
            // SAFETY: the caller holds the lock, and says that the waiter is in this queue or in
            // none.
            Source::Timer(timer) => unsafe { timer.state().remove(waiter) },
            Source::At(_) | Source::Tick(_) | Source::Never => {}
        }
    }
}
