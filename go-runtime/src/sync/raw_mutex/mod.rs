//! The lock of a [`Mutex`](super::Mutex), without the value that it guards.
//!
//! This module owns the word `state` (its bits are defined in `word.rs`), the queue of waiters, and
//! the policy that decides which waiter is woken and when. The policy is that of Go's `sync.Mutex`.
//! The bit `LOCKED` says that the lock is taken. Any thread may change `state`; the queue is used
//! under `queue_lock` only, and `lateness` by the holder only.
//!
//! **Normal mode.** An unlocked mutex is free, and the first waiter is woken to try for it; a
//! newcomer may take the lock first. That is much faster than reserving the lock for the woken
//! waiter: it takes microseconds until the waiter runs, in which the lock can be taken many times.
//! At most one contender is *on its way* at a time (`WOKEN`), so most unlocks wake no waiter. A
//! contender that spins before it queues counts as on its way, too.
//!
//! **Starvation mode.** A woken waiter that has waited for more than a millisecond and finds the
//! lock taken sets `STARVING` and goes back to the front of the queue. From then on each unlock
//! hands the lock over to the first waiter: the lock is free, but only for contenders that have
//! been woken; newcomers queue. The mode ends when the queue is empty, or when a contender that has
//! waited for less than a millisecond gets the lock.
//!
//! **Late contenders.** In Go a goroutine that locks and unlocks in a loop is preempted, so that
//! the woken waiter can run and set `STARVING`. Goroutines of this runtime are not preempted.
//! Instead an unlock sets `LATE` if a contender has been on its way for a millisecond, and a
//! newcomer that finds the free lock marked `LATE` first lets the other goroutines of its worker
//! run. The newcomer counts as on its way meanwhile; otherwise, if one of those goroutines locks in
//! a loop, no unlock would notice the newcomer. If the woken waiter is not among them, the newcomer
//! takes the lock, and the next unlock wakes another waiter in place of the late one: `WOKEN`
//! becomes one `MISSED`. The late waiter may still be on the worker of a goroutine that locks in a
//! loop, so as long as a contender is counted as `MISSED`, an unlock sets `LATE` each millisecond.
//!
//! **No wake-up is lost.** `WAITING` changes together with the queue, under `queue_lock`. While it
//! is set, either the lock is taken, and its holder will see to the queue, or a contender is on its
//! way:
//!
//! - `LOCKED` is cleared only in a step after which no waiter is queued or `WOKEN` is set.
//! - Each contender on its way is represented by `WOKEN` or by one `MISSED`. It subtracts a
//!   `MISSED` if there is one, and else `WOKEN`, only in a step after which `LOCKED` is set. (A
//!   newcomer that came while others were late subtracts `WOKEN` first, so that the others become
//!   `MISSED`.)
//! - A contender queues only if the lock is taken or another contender is on its way.
//!
//! So the number of contenders on their way is always the count of `MISSED`, plus one if `WOKEN` is
//! set.
//!
//! A lock is tied to no thread: the caller of `lock` may hand the lock on, and any thread may
//! unlock it. (The field `owner` names the holder for `debug`, and for a report of a caller that
//! waits for itself: see [`owner`](super::owner).) `unlock` never yields, because the `Drop` of a
//! guard must not switch.

mod word;

use std::cell::UnsafeCell;
use std::time::Duration;

use self::word::{Contender, LATE, LOCKED, STARVING, WAITING, WOKEN, is_on_its_way, sent};
use super::lateness::LatenessTimer;
use super::owner::Owner;
use crate::clock;
use crate::primitives::atomic::{AtomicBool, AtomicU16, Ordering};
use crate::primitives::const_fn;
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{self, Decision, Guarded, View, WaitReason, Waited, Why};

/// A waiter that has waited for longer than this starves.
const LONG: Duration = Duration::from_millis(1);

// In this order the fields take 32 bytes, and data behind the struct shares a cache line with
// `state`.
#[repr(C)]
pub(crate) struct RawMutex {
    /// Guarded by `queue_lock`; see [`waiting`](Self::waiting).
    queue: UnsafeCell<Guarded<()>>,
    /// Measures how long a woken waiter has been on its way. Used by the holder only.
    lateness: LatenessTimer,
    state: AtomicU16,
    queue_lock: RawSpinLock,
    /// A flag for the type that builds on this lock, in a byte that would be padding. `RawMutex`
    /// does not read the flag.
    pub(super) flag: AtomicBool,
    pub(super) owner: Owner,
}

// SAFETY: `queue` is used through `waiting` only, and so under `queue_lock`. `lateness` is used by
// the holder only, which has set `LOCKED` (or was handed the lock by the thread that set it) and
// has not cleared it yet; the acquire and release orderings of these changes order one holder's
// accesses before those of the next. All other fields are `Sync`.
unsafe impl Sync for RawMutex {}

#[cfg(debug_assertions)]
impl Drop for RawMutex {
    fn drop(&mut self) {
        let state = self.state.load(Ordering::Relaxed);
        // The mutex may be locked, by a leaked guard; but no contender may be queued or on its way.
        if !std::thread::panicking() {
            assert!(
                state & !LOCKED == 0,
                "a contender is still queued or on its way: {state:#b}"
            );
        }
    }
}

impl RawMutex {
    const_fn! {
        pub(crate) fn new() -> RawMutex {
            RawMutex {
                queue: UnsafeCell::new(Guarded::new(())),
                lateness: LatenessTimer::new(),
                queue_lock: RawSpinLock::new(),
                state: AtomicU16::new(0),
                flag: AtomicBool::new(false),
                owner: Owner::none(),
            }
        }
    }

    /// Returns the queue of waiters together with its lock. Queue and lock are separate fields,
    /// which keeps this struct small.
    #[inline(always)]
    fn waiting(&self) -> View<'_, ()> {
        // SAFETY: `queue_lock` guards `queue` and nothing else, and both fields are private and
        // used in this function only, so every access to `queue` is made under `queue_lock`.
        unsafe { View::new(&self.queue, &self.queue_lock) }
    }

    /// Takes the lock, and waits for it if need be.
    #[inline]
    #[track_caller]
    pub(crate) fn lock(&self) {
        self.lock_for(WaitReason::MutexLock);
    }

    /// Takes the lock as [`lock`](Self::lock) does. `debug` shows a wait for it as one for
    /// `reason`.
    #[inline]
    #[track_caller]
    pub(super) fn lock_for(&self, reason: WaitReason) {
        let state = self.state.load(Ordering::Relaxed);
        // In normal mode a newcomer takes a free lock even if there are waiters.
        if state & (LOCKED | STARVING | LATE) != 0 || !self.change(state, state | LOCKED) {
            self.lock_contended(reason);
        }
        self.owner.set();
    }

    /// Takes the lock if it is free and not reserved for a starving waiter. Returns whether the
    /// caller has the lock now.
    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & (LOCKED | STARVING) == 0 {
            match self.try_change(state, Contender::default().take(state)) {
                Ok(()) => {
                    self.owner.set();
                    return true;
                }
                Err(now) => state = now,
            }
        }
        false
    }

    /// Gives the lock back.
    ///
    /// # Safety
    /// The caller holds the lock, and has ended every use of what the lock guards.
    #[inline]
    pub(crate) unsafe fn unlock(&self) {
        self.owner.clear();
        let state = self.state.load(Ordering::Relaxed);
        if state != LOCKED || !self.change(LOCKED, 0) {
            // SAFETY: the caller of `unlock` holds the lock and has ended every use of what it
            // guards. The change above failed or was not tried, so the lock is still held.
            unsafe { self.unlock_contended() };
        }
    }

    /// Changes the state from `from` to `to`, or returns the state found instead.
    ///
    /// The ordering serves both locking and unlocking: the change acquires what the last holder
    /// released, and releases what the caller did.
    #[inline]
    fn try_change(&self, from: u16, to: u16) -> Result<(), u16> {
        let changed = self
            .state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
        changed.map(drop)
    }

    /// Changes the state from `from` to `to`. Returns whether the state was `from`.
    #[inline]
    fn change(&self, from: u16, to: u16) -> bool {
        self.try_change(from, to).is_ok()
    }

    /// Slow path of `lock`: spins, yields to late contenders, or queues.
    #[cold]
    #[track_caller]
    fn lock_contended(&self, reason: WaitReason) {
        self.owner.tell_if_caller(reason);
        if !wait::may_switch() {
            self.lock_without_queueing(reason);
            return;
        }
        let mut this = Contender::default();
        let mut rounds = 0;
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if this.may_take(state) {
                if state & LATE != 0 && !this.is_woken {
                    if self.change(state, sent(state)) {
                        this.is_woken = true;
                        this.is_ahead = true;
                        wait::yield_to_others();
                    }
                } else if self.change(state, this.take(state)) {
                    if let Some(deadline) = this.deadline {
                        // The deadline was set `LONG` after the wait began.
                        let now = clock::now() + LONG;
                        wait::note_lock_wait(now.saturating_duration_since(deadline));
                    }
                    return;
                }
            } else if state & STARVING == 0 && wait::spin_for_lock(rounds) {
                rounds += 1;
                if !this.is_woken
                    && state & (LOCKED | WAITING | WOKEN) == LOCKED | WAITING
                    && self.change(state, state | WOKEN)
                {
                    this.is_woken = true;
                }
            } else if self.wait(&mut this, reason) {
                rounds = 0;
            }
        }
    }

    /// Polls for the lock, for a goroutine that may not switch, such as an unwinding one.
    ///
    /// No other goroutine runs on the thread while the calling goroutine waits. If the caller
    /// queued, a waiter that is woken before it might be a goroutine of the same thread, which
    /// could not run to take and pass on the lock.
    #[cold]
    fn lock_without_queueing(&self, reason: WaitReason) {
        let since = clock::now();
        let this = Contender::default();
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if state & LOCKED == 0 {
                if self.change(state, this.take(state)) {
                    wait::note_lock_wait(clock::now() - since);
                    return;
                }
            } else {
                wait::sleep_briefly(Why::new(reason, self));
            }
        }
    }

    /// Waits in the queue. Returns whether the contender was queued and woken; if not, the lock has
    /// become free meanwhile.
    fn wait(&self, this: &mut Contender, reason: WaitReason) -> bool {
        if !this.has_waited {
            this.deadline = clock::after(LONG);
        }
        let starves = this.has_waited && this.is_starving();

        let waited = self.waiting().wait(reason, |_| {
            let mut state = self.state.load(Ordering::Relaxed);
            loop {
                if this.may_take(state) {
                    return Decision::Go(());
                }
                match self.try_change(state, this.queue(state, starves)) {
                    Ok(()) if this.has_waited => return Decision::WaitInFront,
                    Ok(()) => return Decision::Wait,
                    Err(now) => state = now,
                }
            }
        });
        let has_waited = waited == Waited::Woken;
        if has_waited {
            this.has_waited = true;
            this.is_woken = true;
            this.is_ahead = false;
        }
        has_waited
    }

    /// Slow path of `unlock`: wakes a waiter, or marks a late contender.
    ///
    /// # Safety
    /// The caller holds the lock, and has ended every use of what the lock guards.
    #[cold]
    unsafe fn unlock_contended(&self) {
        let mut state = self.state.load(Ordering::Relaxed);
        let too_long = is_on_its_way(state) && self.lateness.waiter_is_late();
        loop {
            if state & WAITING != 0 && state & (WOKEN | STARVING) != WOKEN {
                // SAFETY: the caller of `unlock_contended` holds the lock and has ended every use
                // of what it guards. `WAITING` says that a waiter is queued; only a holder takes
                // waiters out, and the holder is the caller, so until then the queue can only grow.
                unsafe { self.wake_first() };
                return;
            }
            // (If `STARVING` is set here, the queue is empty, so the starving contender is on its
            // way.)
            let mut free = state & !(LOCKED | STARVING);
            if too_long && is_on_its_way(state) {
                free |= LATE;
            }
            match self.try_change(state, free) {
                Ok(()) => return,
                Err(now) => state = now,
            }
        }
    }

    /// Frees the lock, and wakes the first waiter, which will try for it.
    ///
    /// # Safety
    /// The caller holds the lock, and has ended every use of what the lock guards. A waiter is in
    /// the queue.
    unsafe fn wake_first(&self) {
        self.lateness.start();
        let first = self.waiting().with(|held| {
            let Some(first) = held.take() else {
                unreachable!("a queued waiter stays in the queue until a holder wakes it");
            };
            let emptied = held.is_empty();
            let mut state = self.state.load(Ordering::Relaxed);
            loop {
                let mut free = sent(state & !(LOCKED | LATE));
                if emptied {
                    free &= !WAITING;
                }
                match self.try_change(state, free) {
                    Ok(()) => return first,
                    Err(now) => state = now,
                }
            }
        });
        first.retry();
    }
}
