//! Being told when a receive need not wait any more, without receiving: what a select does that
//! only asks which arm is ready, and a descriptor's operation that its done channel ends.

use std::time::Instant;

use super::state::Observed;
use super::{Receiver, Source};
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{Look, Observable, Waiter};

// SAFETY: the channel's queue holds a waiter only until the waiter has been taken out to be told,
// or by `stop_observing`, under the channel's lock. A channel without a lock queues none.
unsafe impl<T> Observable for Receiver<T> {
    fn is_ready(&self) -> bool {
        // SAFETY: locked by `with_lock`.
        self.with_lock(|| unsafe { self.is_ready_locked() })
    }

    unsafe fn observe(&self, waiter: &Waiter) -> Look {
        self.with_lock(|| {
            // SAFETY: locked by `with_lock`; the waiter is as the caller says.
            unsafe {
                if self.is_ready_locked() {
                    return Look::Ready;
                }
                self.observe_locked(waiter);
                Look::Waits(self.due_locked())
            }
        })
    }

    unsafe fn stop_observing(&self, waiter: &Waiter) {
        // SAFETY: locked by `with_lock`; the waiter is as the caller says.
        self.with_lock(|| unsafe { self.stop_observing_locked(waiter) });
    }
}

impl<T> Receiver<T> {
    /// The lock that guards the channel, if it has one.
    pub(crate) fn raw_lock(&self) -> Option<&RawSpinLock> {
        match self.source() {
            Source::Core(core) => Some(core.raw_lock()),
            Source::Timer(timer) => Some(timer.raw_lock()),
            Source::At(_) | Source::Tick(_) | Source::Never => None,
        }
    }

    /// `f` must not panic, nor make ready what others observe: nobody is told.
    fn with_lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let lock = self.raw_lock();
        lock.inspect(|lock| lock.lock());
        let result = f();
        // SAFETY: locked above, and `f` has ended.
        lock.inspect(|lock| unsafe { lock.unlock() });
        result
    }

    /// Whether a receive need not wait.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(crate) unsafe fn is_ready_locked(&self) -> bool {
        match self.source() {
            // SAFETY: the lock is held, and the reference ends with the expression.
            Source::Core(core) => unsafe { core.state() }.can_receive(core.capacity()),
            Source::At(at) => at.is_ready(),
            Source::Tick(tick) => tick.is_ready(),
            // SAFETY: as above.
            Source::Timer(timer) => unsafe { timer.state() }.is_ready(),
            Source::Never => false,
        }
    }

    /// When that changes by itself.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(crate) unsafe fn due_locked(&self) -> Option<Instant> {
        match self.source() {
            Source::Core(_) | Source::Never => None,
            Source::At(at) => at.due(),
            Source::Tick(tick) => tick.due(),
            // SAFETY: the lock is held, and the reference ends with the expression.
            Source::Timer(timer) => unsafe { timer.state() }.due(),
        }
    }

    /// # Safety
    /// As for [`Observable::observe`], and the caller holds the lock.
    pub(crate) unsafe fn observe_locked(&self, waiter: &Waiter) {
        match self.source() {
            // SAFETY: the lock is held, and the waiter is as the caller says.
            Source::Core(core) => unsafe {
                core.state().enqueue_observer(Observed::Receive, waiter);
            },
            // SAFETY: as above.
            Source::Timer(timer) => unsafe { timer.state().push(waiter) },
            // They change by themselves only.
            Source::At(_) | Source::Tick(_) | Source::Never => {}
        }
    }

    /// # Safety
    /// As for [`Observable::stop_observing`], and the caller holds the lock.
    pub(crate) unsafe fn stop_observing_locked(&self, waiter: &Waiter) {
        match self.source() {
            // SAFETY: the lock is held, and the waiter is as the caller says.
            Source::Core(core) => unsafe {
                core.state().dequeue_observer(Observed::Receive, waiter);
            },
            // SAFETY: as above.
            Source::Timer(timer) => unsafe { timer.state().remove(waiter) },
            Source::At(_) | Source::Tick(_) | Source::Never => {}
        }
    }
}
