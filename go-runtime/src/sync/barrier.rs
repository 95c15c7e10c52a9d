//! `std::sync::Barrier` for goroutines.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::primitives::const_fn;
use crate::wait::{Decision, WaitList, Waited};

/// Where a number of goroutines and threads wait for each other: [`std::sync::Barrier`], but a
/// goroutine that waits is parked.
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
/// A goroutine that comes to it while it is unwinding blocks its worker's thread (see
/// [the crate's page on panics](crate#panics)): others that have started there cannot come any
/// more.
pub struct Barrier {
    /// How many have to come; 0 is as good as 1.
    number: usize,
    /// How many of this round have come; all of them but the last wait.
    come: WaitList<usize>,
}

// No user's code runs in here.
impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

/// What [`Barrier::wait`] returns: [`std::sync::BarrierWaitResult`].
pub struct BarrierWaitResult {
    is_leader: bool,
}

impl BarrierWaitResult {
    /// Whether the caller is the one of its round that is told so: the last to come.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}

impl Barrier {
    const_fn! {
        /// A barrier at which each round of `n` wait for each other. As with std's, nobody waits if
        /// `n` is 0 or 1.
        #[must_use]
        #[inline]
        pub fn new(n: usize) -> Barrier {
            Barrier {
                number: n,
                come: WaitList::new(0),
            }
        }
    }

    /// Waits until the others of this round have come. Then it is ready for the next one.
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
        let waited = self.come.wait(|come| {
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
