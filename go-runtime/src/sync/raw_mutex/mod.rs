//! The lock of a [`Mutex`](super::Mutex), without what it guards.
//!
//! It works as Go's does. One bit, `LOCKED`, says that somebody has it (the bits are in `word.rs`).
//! The rest is about who is woken when.
//!
//! **Normally** a lock that is given back is free, and the first who waits is woken to try for it;
//! whoever comes along meanwhile may take it first. That is much faster than to keep it for the
//! woken one, who takes microseconds to run while the lock could be taken many times. At most one
//! is on its way at a time (`WOKEN`), so most unlockings wake nobody. One who looks for a moment
//! before it queues counts as on its way too.
//!
//! **Starving**: one who was woken, has waited for more than a millisecond, and finds the lock
//! taken says so (`STARVING`) and goes back to the front. Then each who unlocks hands over to the
//! first in the queue: the lock is free, but only for those who have been woken; others queue. It
//! ends when nobody is in the queue, or when one gets the lock who has waited for less than a
//! millisecond.
//!
//! **Late**: in Go a goroutine that locks and unlocks in a loop is preempted, so that the woken one
//! can run and say that it starves. Here nobody preempts. Who unlocks while somebody has been on
//! its way for a millisecond says so (`LATE`), and who then comes for the free lock first lets the
//! others of its worker run. Meanwhile it is on its way itself, or it would be forgotten when one
//! of those locks in a loop. If the woken one is not among them the lock is taken, and the next one
//! woken in its stead: `WOKEN` becomes one `MISSED`. It may still come to the worker of one who
//! locks in a loop, so as long as one is missed, somebody is found late each millisecond.
//!
//! Why no wake-up is lost: if somebody is in the queue (`WAITING`, which changes together with the
//! queue, under its lock), then the lock is taken, and its holder will see to the queue, or
//! somebody is on its way. For `LOCKED` is cleared only if nobody waits or `WOKEN` is set; who is
//! on its way takes back what stands for it, a `MISSED` if there is one, else `WOKEN` (who has come
//! while others were late: the other way round, so that they are missed), only in a step after
//! which `LOCKED` is set; and one queues only if one of the two is set. Those on their way are as
//! many as `WOKEN` and the `MISSED` say.
//!
//! A lock has no owner: it may be unlocked anywhere, by whoever has got what locking it gave.

mod word;

use std::cell::UnsafeCell;
use std::time::Duration;

use self::word::{Contender, LATE, LOCKED, STARVING, WAITING, WOKEN, is_on_its_way, sent};
use super::patience::Patience;
use crate::clock;
use crate::primitives::atomic::{AtomicBool, AtomicU16, Ordering};
use crate::primitives::const_fn;
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{self, Decision, Guarded, View, Waited};

/// Who has waited for so long starves.
const LONG: Duration = Duration::from_millis(1);

// In this order it takes 24 bytes, and what lies behind it shares a cache line with `state`.
#[repr(C)]
pub(crate) struct RawMutex {
    /// Guarded by `queue_lock`; see [`waiting`](Self::waiting).
    queue: UnsafeCell<Guarded<()>>,
    /// The holder's.
    patience: Patience,
    state: AtomicU16,
    queue_lock: RawSpinLock,
    /// For whoever builds on this lock, which has the room: nothing here looks at it.
    pub(super) flag: AtomicBool,
}

// SAFETY: `queue` is used through `waiting` only, and so under `queue_lock`; `patience` is used by
// the holder only, the thread that has set `LOCKED` or got the lock from that thread.
unsafe impl Sync for RawMutex {}

#[cfg(debug_assertions)]
impl Drop for RawMutex {
    fn drop(&mut self) {
        let state = self.state.load(Ordering::Relaxed);
        // Locked it may be, by a guard that has been forgotten.
        if !std::thread::panicking() {
            assert!(state & !LOCKED == 0, "nobody is left: {state:#b}");
        }
    }
}

impl RawMutex {
    const_fn! {
        pub(crate) fn new() -> RawMutex {
            RawMutex {
                queue: UnsafeCell::new(Guarded::new(())),
                patience: Patience::new(),
                queue_lock: RawSpinLock::new(),
                state: AtomicU16::new(0),
                flag: AtomicBool::new(false),
            }
        }
    }

    /// The goroutines that wait for the lock. Their lock lies apart from their queue, where this
    /// struct has room for it.
    #[inline(always)]
    fn waiting(&self) -> View<'_, ()> {
        // SAFETY: `queue_lock` guards `queue`, and nothing else; nothing else uses either.
        unsafe { View::new(&self.queue, &self.queue_lock) }
    }

    /// Returns once the lock is the caller's.
    #[inline]
    pub(crate) fn lock(&self) {
        let state = self.state.load(Ordering::Relaxed);
        // Also past those who wait.
        if state & (LOCKED | STARVING | LATE) != 0 || !self.change(state, state | LOCKED) {
            self.lock_contended();
        }
    }

    /// Takes the lock if it is free for all: `true`, then it is the caller's.
    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & (LOCKED | STARVING) == 0 {
            match self.try_change(state, Contender::default().take(state)) {
                Ok(()) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Gives the lock back.
    ///
    /// # Safety
    /// The lock is the caller's, who ends every use of what it guards before this call.
    #[inline]
    pub(crate) unsafe fn unlock(&self) {
        let state = self.state.load(Ordering::Relaxed);
        if state != LOCKED || !self.change(LOCKED, 0) {
            // SAFETY: passed on.
            unsafe { self.unlock_contended() };
        }
    }

    /// Acquires what the last holder has released, and releases what the caller has done, whichever
    /// of both the change means.
    #[inline]
    fn try_change(&self, from: u16, to: u16) -> Result<(), u16> {
        let changed = self
            .state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
        changed.map(drop)
    }

    #[inline]
    fn change(&self, from: u16, to: u16) -> bool {
        self.try_change(from, to).is_ok()
    }

    #[cold]
    fn lock_contended(&self) {
        if !wait::may_switch() {
            self.lock_without_queueing();
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
                        wait::give_way();
                    }
                } else if self.change(state, this.take(state)) {
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
            } else if self.wait(&mut this) {
                rounds = 0;
            }
        }
    }

    /// For a goroutine that is unwinding. As long as it waits nothing else runs on its thread: were
    /// it in the queue, whoever is woken before it might be one of those.
    #[cold]
    fn lock_without_queueing(&self) {
        let this = Contender::default();
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if state & LOCKED == 0 {
                if self.change(state, this.take(state)) {
                    return;
                }
            } else {
                wait::doze();
            }
        }
    }

    /// Waits to be woken. `false`: the lock has become free meanwhile.
    fn wait(&self, this: &mut Contender) -> bool {
        if !this.has_waited {
            this.deadline = clock::after(LONG);
        }
        let starves = this.has_waited && this.is_out_of_patience();

        let waited = self.waiting().wait(|_| {
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

    /// What is more than to clear a bit.
    ///
    /// # Safety
    /// As for [`unlock`](Self::unlock).
    #[cold]
    unsafe fn unlock_contended(&self) {
        let mut state = self.state.load(Ordering::Relaxed);
        let too_long = is_on_its_way(state) && self.patience.is_over();
        loop {
            if state & WAITING != 0 && state & (WOKEN | STARVING) != WOKEN {
                // SAFETY: passed on; the queue changes from now on only by others who come.
                unsafe { self.wake_first() };
                return;
            }
            // (If somebody starves it is the one on its way, for nobody is in the queue then.)
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

    /// Frees the lock, and wakes the first who waits to take it.
    ///
    /// # Safety
    /// As for [`unlock`](Self::unlock), and somebody waits.
    unsafe fn wake_first(&self) {
        self.patience.start();
        let first = self.waiting().with(|held| {
            let Some(first) = held.take() else {
                unreachable!("who waits for a lock does so until a holder wakes it");
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
