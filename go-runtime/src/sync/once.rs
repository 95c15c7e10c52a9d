//! `std::sync::Once` for goroutines; `OnceLock` and `LazyLock` are built on it.
//!
//! `runner` identifies the caller that runs the initializer, so an initializer that calls the same
//! `Once` again panics instead of waiting for itself for ever. The state changes under `lock` where
//! waiting callers have to be woken, so a caller either sees the new state or is in the queue when
//! the state changes.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::goroutine;
use crate::primitives::atomic::{AtomicU8, AtomicUsize, Ordering};
use crate::primitives::const_fn;
use crate::wait::{Decision, WaitList, Waited};

/// Nobody has begun.
const NEW: u8 = 0;
/// Somebody is at it.
const RUNNING: u8 = 1;
/// The last one who was at it has panicked.
const POISONED: u8 = 2;
const COMPLETE: u8 = 3;

/// Runs something once, whoever comes first: [`std::sync::Once`], but what is run may park, and a
/// goroutine that comes meanwhile is parked too.
///
/// The names and the poisoning are std's, so it takes the place of std's by a change of the import.
/// Goroutines and plain threads may use it at the same time; a thread that waits is blocked.
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
/// What is run must not wait for itself. If it calls the same `Once` again it panics; if a
/// goroutine or a thread does so that it waits for, both wait for ever. An async task that waits
/// blocks its executor's thread. A goroutine that is unwinding does not switch (see
/// [the crate's page on panics](crate#panics)): in a `Drop` it waits for ever if the one who is at
/// it is parked on the same worker.
///
/// # Poisoning
///
/// As std's, it is *poisoned* if what it runs panics: from then on `call_once` panics too, until
/// [`call_once_force`](Once::call_once_force) has had success.
pub struct Once {
    /// The end of a run is written under the lock of `waiting`.
    state: AtomicU8,
    /// Who is at it (see `goroutine::caller`), or 0.
    runner: AtomicUsize,
    waiting: WaitList,
}

// A panic is announced by the poisoning.
impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

/// What [`Once::call_once_force`] tells its closure: [`std::sync::OnceState`].
pub struct OnceState {
    poisoned: bool,
}

impl OnceState {
    /// Whether an earlier one has panicked.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

/// An earlier one has panicked.
pub(super) struct Poisoned;

impl Once {
    const_fn! {
        /// One that nobody has called.
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

    /// Runs `f` if no other call has run its own; if another one is at it, waits until it is done.
    /// In any case one has been run, and its effects are visible, when this returns.
    ///
    /// # Panics
    /// If `f` does, then the `Once` is poisoned; if it is poisoned; and if the caller is what it
    /// runs, so that it would wait for itself.
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

    /// [`call_once`](Once::call_once), also if an earlier one has panicked: `f` is told of that.
    ///
    /// # Panics
    /// If `f` does, then the `Once` is poisoned; and if the caller is what it runs, so that it
    /// would wait for itself.
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
            // It is not refused.
            let _ = self.run(true, f);
        }
    }

    /// Whether one has been run, with success; then its effects are visible.
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

    /// Waits until others have run one.
    ///
    /// # Panics
    /// If the `Once` is poisoned, or comes to be; and if the caller is what it runs, so that it
    /// would wait for itself.
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

    /// [`wait`](Once::wait), also if an earlier one has panicked: until one has success.
    ///
    /// # Panics
    /// If the caller is what it runs, so that it would wait for itself.
    #[track_caller]
    pub fn wait_force(&self) {
        self.wait_while(|state| state != COMPLETE);
    }

    /// What is left of a call when a look has shown that there is something to be done.
    ///
    /// # Errors
    /// If it is poisoned, unless `forced`.
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

    /// `None`: one has been run already.
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

    /// Returns the first state that need not be waited for.
    #[track_caller]
    fn wait_while(&self, must_wait: impl Fn(u8) -> bool) -> u8 {
        let mut state = self.state.load(Ordering::Acquire);
        while must_wait(state) {
            // Nobody else writes the caller's number, and the caller takes its own away when it
            // ends: so what it reads is true.
            assert!(
                state != RUNNING || self.runner.load(Ordering::Relaxed) != goroutine::caller(),
                "one-time initialisation that waits for itself: its closure has come back to the \
                 same Once, OnceLock or LazyLock"
            );
            state = self.wait_once(&must_wait);
        }
        state
    }

    /// Waits until one ends, with whatever success, if the state still has to be waited for.
    fn wait_once(&self, must_wait: impl Fn(u8) -> bool) -> u8 {
        let waited = self.waiting.wait(|_| {
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

    fn end(&self, state: u8) {
        self.runner.store(0, Ordering::Relaxed);
        let waiting = self.waiting.with(|held| {
            self.state.store(state, Ordering::Release);
            held.take_all()
        });
        waiting.finish();
    }
}

/// The turn of one who is at it. If it ends by a panic the `Once` is poisoned.
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
