//! `std::sync::Once` for goroutines; `OnceLock` and `LazyLock` are built on it.
//!
//! This module owns the state of the run and the queue of callers that wait for it.
//!
//! ```text
//! NEW --begin--> RUNNING --success--> COMPLETE
//!                 ^   |
//!   begin (forced)|   |panic
//!                 |   v
//!               POISONED
//! ```
//!
//! `runner` identifies the caller that runs the closure, so a closure that calls the same `Once`
//! again panics instead of waiting for itself forever. The end of a run is written under the lock
//! of the queue, so a caller either sees the new state or is in the queue when the state changes.

use std::fmt;
use std::mem::offset_of;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::goroutine;
use crate::primitives::atomic::{AtomicU8, AtomicUsize, Ordering};
use crate::primitives::const_fn;
use crate::wait::{Decision, WaitList, WaitReason, Waited};

/// No call has begun.
const NEW: u8 = 0;
/// A call runs its closure.
const RUNNING: u8 = 1;
/// The last closure that ran has panicked.
const POISONED: u8 = 2;
/// A closure has returned.
const COMPLETE: u8 = 3;

/// A one-time initialization that parks goroutines: [`std::sync::Once`] for goroutines.
///
/// The closure may park, and a goroutine that calls the `Once` while the closure runs is parked,
/// too. The names and the poisoning are std's, so a change of the import replaces std's `Once` by
/// this one. Goroutines and plain threads may use the same `Once` at the same time; a thread that
/// waits is blocked.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::{scope, sync::Once, time};
///
/// static START: Once = Once::new();
/// scope(|s| {
///     for _ in 0..10 {
///         s.spawn(|| {
///             START.call_once(|| time::sleep(Duration::from_millis(1)));
///             assert!(START.is_completed());
///         });
///     }
/// });
/// ```
///
/// # Deadlocks
///
/// The closure must not wait for itself. If it calls the same `Once` again, it panics; if it waits
/// for another goroutine or thread that calls the same `Once`, both wait forever. An async task
/// that waits blocks its executor's thread. A goroutine that is unwinding does not switch (see
/// [the crate's page on panics](crate#panics)): in a `Drop` it waits forever if the goroutine that
/// runs the closure is parked on the same worker.
///
/// # Poisoning
///
/// Like std's, a `Once` is *poisoned* if its closure panics: from then on `call_once` panics, too,
/// until [`call_once_force`](Once::call_once_force) has had success.
pub struct Once {
    /// The state, one of the constants above. The end of a run is written under the lock of
    /// `waiting`.
    state: AtomicU8,
    /// The number of the caller whose closure is running (see `goroutine::caller`), or 0.
    runner: AtomicUsize,
    waiting: WaitList,
}

// Poisoning reports a panic of the closure.
impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

/// The state that [`Once::call_once_force`] passes to its closure: [`std::sync::OnceState`].
pub struct OnceState {
    poisoned: bool,
}

impl OnceState {
    /// Returns whether an earlier closure panicked.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

/// The error of a call that is refused because an earlier closure panicked.
pub(super) struct Poisoned;

impl Once {
    /// The offset of `runner` from the object that a wait for a `Once` notes.
    pub(super) const RUNNER: isize =
        offset_of!(Once, runner).cast_signed() - offset_of!(Once, waiting).cast_signed();

    const_fn! {
        /// Returns a `Once` that has not been called.
        #[allow(clippy::new_without_default, reason = "std's has none")]
        #[must_use]
        #[inline]
        pub fn new() -> Once {
            Once {
                state: AtomicU8::new(NEW),
                runner: AtomicUsize::new(0),
                waiting: WaitList::new(()),
            }
        }
    }

    /// Calls `f` unless a call has completed; blocks while another call runs its closure.
    ///
    /// When this returns, a closure has returned, `f` or another one, and its effects are visible.
    ///
    /// # Panics
    /// If `f` panics, which poisons the `Once`; if the `Once` is poisoned already; and if the
    /// caller is the closure that this `Once` runs, which would wait for itself.
    #[inline]
    #[track_caller]
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        if self.is_completed() {
            return;
        }
        if self.run(false, |_| f()).is_err() {
            panic_poisoned();
        }
    }

    /// Calls `f` as [`call_once`](Once::call_once) does, even if an earlier closure has panicked.
    ///
    /// `f` can ask its argument whether the `Once` was poisoned.
    ///
    /// # Panics
    /// If `f` panics, which poisons the `Once`; and if the caller is the closure that this `Once`
    /// runs, which would wait for itself.
    ///
    /// ```
    /// use std::panic::catch_unwind;
    /// use go_runtime::sync::Once;
    ///
    /// let once = Once::new();
    /// assert!(catch_unwind(|| once.call_once(|| panic!("the first time"))).is_err());
    /// assert!(catch_unwind(|| once.call_once(|| {})).is_err());
    /// once.call_once_force(|state| assert!(state.is_poisoned()));
    /// once.call_once(|| unreachable!());
    /// ```
    #[inline]
    #[track_caller]
    pub fn call_once_force<F: FnOnce(&OnceState)>(&self, f: F) {
        if !self.is_completed() {
            // A forced call is never refused.
            let _ = self.run(true, f);
        }
    }

    /// Returns whether a closure has returned. If so, its effects are visible.
    ///
    /// ```
    /// let once = go_runtime::sync::Once::new();
    /// assert!(!once.is_completed());
    /// once.call_once(|| assert!(!once.is_completed()));
    /// assert!(once.is_completed());
    /// ```
    #[inline]
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.state.load(Ordering::Acquire) == COMPLETE
    }

    /// Blocks until the closure of another call has returned.
    ///
    /// # Panics
    /// If the `Once` is poisoned, or becomes so; and if the caller is the closure that this `Once`
    /// runs, which would wait for itself.
    ///
    /// ```
    /// use go_runtime::{scope, sync::Once};
    ///
    /// let once = Once::new();
    /// scope(|s| {
    ///     s.spawn(|| once.call_once(|| {}));
    ///     once.wait();
    ///     assert!(once.is_completed());
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        if self.wait_while(|state| state == NEW || state == RUNNING) == POISONED {
            panic_poisoned();
        }
    }

    /// Blocks until the closure of another call has returned, even if earlier closures panic.
    ///
    /// # Panics
    /// If the caller is the closure that this `Once` runs, which would wait for itself.
    #[track_caller]
    pub fn wait_force(&self) {
        self.wait_while(|state| state != COMPLETE);
    }

    /// Slow path of a call: runs `f`, or waits for the call that runs its closure.
    ///
    /// # Errors
    /// If the `Once` is poisoned, unless `forced`.
    #[cold]
    #[track_caller]
    pub(super) fn run(&self, forced: bool, f: impl FnOnce(&OnceState)) -> Result<(), Poisoned> {
        let Some(turn) = self.begin(forced)? else {
            return Ok(());
        };
        f(&turn.state);
        turn.succeed();
        Ok(())
    }

    /// Waits for a running call, then claims the run for the caller. Returns `None` if a closure
    /// has already returned.
    #[track_caller]
    fn begin(&self, forced: bool) -> Result<Option<Turn<'_>>, Poisoned> {
        loop {
            let state = self.wait_while(|state| state == RUNNING);
            if state == COMPLETE {
                return Ok(None);
            }
            if state == POISONED && !forced {
                return Err(Poisoned);
            }
            let begun =
                self.state
                    .compare_exchange(state, RUNNING, Ordering::Acquire, Ordering::Relaxed);
            if begun.is_ok() {
                self.runner.store(goroutine::caller(), Ordering::Relaxed);
                return Ok(Some(Turn {
                    once: self,
                    state: OnceState {
                        poisoned: state == POISONED,
                    },
                    end: POISONED,
                }));
            }
        }
    }

    /// Waits until the state is one for which `must_wait` returns `false`, and returns that state.
    #[track_caller]
    fn wait_while(&self, must_wait: impl Fn(u8) -> bool) -> u8 {
        let mut state = self.state.load(Ordering::Acquire);
        while must_wait(state) {
            // Only the caller itself writes its number to `runner`, and removes the number at the
            // end of its run. So if the caller reads its own number, its closure is running, even
            // though the load is relaxed.
            assert!(
                state != RUNNING || self.runner.load(Ordering::Relaxed) != goroutine::caller(),
                "one-time initialization that waits for itself: its closure has come back to the \
                 same Once, OnceLock or LazyLock"
            );
            state = self.wait_once(&must_wait);
        }
        state
    }

    /// Waits until a run ends, by success or by a panic, unless the state no longer requires the
    /// wait. Returns the state after that.
    fn wait_once(&self, must_wait: impl Fn(u8) -> bool) -> u8 {
        let waited = self.waiting.wait(WaitReason::Once, |_| {
            let state = self.state.load(Ordering::Acquire);
            if must_wait(state) {
                Decision::Wait
            } else {
                Decision::Go(state)
            }
        });
        match waited {
            Waited::Not(state) => state,
            Waited::Woken | Waited::TimedOut => self.state.load(Ordering::Acquire),
        }
    }

    /// Ends the caller's run: sets the state and wakes the waiters.
    fn end(&self, state: u8) {
        self.runner.store(0, Ordering::Relaxed);
        let waiting = self.waiting.with(|held| {
            self.state.store(state, Ordering::Release);
            held.take_all()
        });
        waiting.finish();
    }
}

/// A caller's right to run its closure. If a panic drops this, the `Once` is poisoned.
struct Turn<'a> {
    once: &'a Once,
    state: OnceState,
    end: u8,
}

impl Turn<'_> {
    fn succeed(mut self) {
        self.end = COMPLETE;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.once.end(self.end);
    }
}

#[cold]
#[track_caller]
fn panic_poisoned() -> ! {
    panic!("Once instance has previously been poisoned");
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState")
            .field("poisoned", &self.poisoned)
            .finish()
    }
}
