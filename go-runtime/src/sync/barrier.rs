//! `std::sync::Barrier` for goroutines.
//!
//! This module owns the count of callers that have come in the current round, and the queue of the
//! waiters among them. Both are used under the queue's lock. The last caller of a round sets the
//! count to 0 and takes all waiters out, in one step, so a caller of the next round cannot mix with
//! them.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::primitives::const_fn;
use crate::wait::{Decision, WaitList, WaitReason, Waited};

/// A point where a number of goroutines and threads wait for each other.
///
/// It is [`std::sync::Barrier`] for goroutines: a goroutine that waits is parked.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use go_runtime::{scope, sync::Barrier};
///
/// let (barrier, ready) = (Barrier::new(10), AtomicUsize::new(0));
/// scope(|s| {
///     for _ in 0..10 {
///         s.spawn(|| {
///             ready.fetch_add(1, Ordering::Relaxed);
///             barrier.wait();
///             assert_eq!(ready.load(Ordering::Relaxed), 10);
///         });
///     }
/// });
/// ```
///
/// A goroutine that waits at a barrier while it is unwinding blocks its worker's thread (see
/// [the crate's page on panics](crate#panics)), so that no other goroutine of that worker can reach
/// the barrier meanwhile.
pub struct Barrier {
    /// Number of callers in a round; 0 means the same as 1.
    number: usize,
    /// Number of callers that have come in this round. They wait until the last caller comes.
    come: WaitList<usize>,
}

// Unwind-safe: no user code runs while the barrier changes.
impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

/// The result of [`Barrier::wait`]: [`std::sync::BarrierWaitResult`].
pub struct BarrierWaitResult {
    is_leader: bool,
}

impl BarrierWaitResult {
    /// Returns whether the caller is the leader of its round, which is the last one to come.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}

impl Barrier {
    const_fn! {
        /// Returns a barrier at which the `n` callers of each round wait for each other.
        ///
        /// As with std's, no caller waits if `n` is 0 or 1.
        #[must_use]
        #[inline]
        pub fn new(n: usize) -> Barrier {
            Barrier {
                number: n,
                come: WaitList::new(0),
            }
        }
    }

    /// Waits until the other callers of this round have come.
    ///
    /// The barrier is ready for the next round then.
    ///
    /// ```
    /// use go_runtime::{scope, sync::Barrier};
    ///
    /// let barrier = Barrier::new(3);
    /// scope(|s| {
    ///     let all = [(); 3].map(|()| s.spawn(|| barrier.wait().is_leader()));
    ///     let leaders = all.map(|one| one.join().unwrap()).into_iter().filter(|is| *is);
    ///     assert_eq!(leaders.count(), 1);
    /// });
    /// ```
    pub fn wait(&self) -> BarrierWaitResult {
        let waited = self.come.wait(WaitReason::Barrier, |come| {
            **come += 1;
            if **come < self.number {
                return Decision::Wait;
            }
            **come = 0;
            Decision::Go(come.take_all())
        });
        let is_leader = if let Waited::Not(others) = waited {
            others.finish();
            true
        } else {
            false
        };
        BarrierWaitResult { is_leader }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

impl fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWaitResult")
            .field("is_leader", &self.is_leader)
            .finish()
    }
}
