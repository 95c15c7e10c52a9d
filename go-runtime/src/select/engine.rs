//! How a select runs, whatever the types of its arms: [`select`], [`ready`] and the trait [`Arm`].
//!
//! A select locks all its channels, in the order of their addresses, so two selects over the same
//! channels cannot deadlock. Under the locks the select either takes a ready arm, or queues a
//! waiter in each channel, all with one parker: the partner that claims the parker decides which
//! arm wins. After the wait the select locks one channel after the other and takes its other
//! waiters out; a partner that meets one of these waiters before then cannot claim it, and passes
//! it over.
//!
//! ```text
//!   lock all -> poll arms from a random one -> one ready: unlock all, conclude that arm
//!                                           -> none: enqueue all, unlock all, park
//!                                              woken: dequeue from each channel, conclude
//! ```
//!
//! A select that only asks which arm is ready (`ready`) queues *observers* instead (see
//! `channel::observe`): an observer is woken when its operation has become possible, and then polls
//! again.
//!
//! Invariants:
//! - the arms, their waiters and the parker lie on the stack of the selecting goroutine or thread,
//!   or in a `Select` that it has borrowed exclusively;
//! - no user code runs while a lock is held: no message is made or dropped there;
//! - when a select returns, none of its waiters is in a queue.

use std::fmt;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::clock;
use crate::primitives::random;
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{self, Claimed, Parker, Verdict, WaitReason, Why};

/// Number of arms up to which a select needs no allocation.
pub(super) const INLINE: usize = 8;

/// How long a select waits.
#[derive(Clone, Copy, Debug)]
pub enum Timeout {
    /// Does not wait (`default`).
    Poll,
    /// Waits for at most this duration (`default(duration)`).
    After(Duration),
    /// Waits until this moment at the latest.
    Until(Instant),
    /// Waits until an arm is ready.
    Forever,
}

impl Timeout {
    fn end(self) -> Option<Instant> {
        match self {
            Timeout::After(duration) => clock::after(duration),
            Timeout::Until(end) => Some(end),
            Timeout::Poll | Timeout::Forever => None,
        }
    }
}

/// One arm of a select, as the engine sees it.
///
/// # Safety
/// The methods that require the lock use the state that it guards only during the call. After
/// `dequeue` (following `enqueue`) or `stop_observing` (following `observe`) the channel holds no
/// pointer to the arm.
pub(super) unsafe trait Arm {
    /// Marks the arm as used, and returns whether it was unused: an arm belongs to one select.
    fn enter(&self) -> bool;

    /// Returns the lock that guards the channel, if it has one.
    fn lock(&self) -> Option<&RawSpinLock>;

    /// Tries to carry out the operation, and returns whether it could: the operation is then
    /// complete or certain to complete, and [`conclude`](Self::conclude) does the rest. The caller
    /// wakes the observers added to `told` once no lock is held.
    ///
    /// # Safety
    /// The caller holds the lock.
    unsafe fn poll(&self, told: &mut Claimed) -> bool;

    /// Finishes the operation of an arm whose poll succeeded, once no lock is held. Returns `false`
    /// if the operation failed after all: the select must then poll again.
    fn conclude(&self) -> bool;

    /// Queues the arm's waiter. If the arm becomes ready with time alone, returns when. The caller
    /// wakes the observers added to `told` once no lock is held.
    ///
    /// # Safety
    /// The caller holds the lock, and calls [`dequeue`](Self::dequeue) before the parker or the arm
    /// ends.
    unsafe fn enqueue(&self, parker: &Parker, index: usize, told: &mut Claimed) -> Option<Instant>;

    /// Takes the arm's waiter out of the queue, if the waiter is still in it.
    ///
    /// # Safety
    /// The caller holds the lock.
    unsafe fn dequeue(&self);

    /// Records that the parker was unparked for this arm. The reason is a close of the channel if
    /// `closed` is set, and otherwise a partner that served the arm.
    fn won(&self, closed: bool);

    /// Returns whether a poll would succeed.
    ///
    /// # Safety
    /// The caller holds the lock.
    unsafe fn is_ready(&self) -> bool;

    /// Queues the arm's waiter as an observer, which is woken to poll again when the operation has
    /// become possible. If the arm becomes ready with time alone, returns when.
    ///
    /// # Safety
    /// The caller holds the lock, and calls [`stop_observing`](Self::stop_observing) before the
    /// parker or the arm ends.
    unsafe fn observe(&self, parker: &Parker) -> Option<Instant>;

    /// Takes the observing waiter out of the queue, if the waiter is still in it.
    ///
    /// # Safety
    /// The caller holds the lock.
    unsafe fn stop_observing(&self);
}

/// An arm for [`select`], of whatever type.
#[derive(Clone, Copy)]
pub struct AnyArm<'a>(pub(super) &'a dyn Arm);

impl fmt::Debug for AnyArm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("AnyArm { .. }")
    }
}

/// The locks of all arms, each once, in the same order for all selects, so that no two selects can
/// each hold a lock that the other waits for.
struct Locks<'a>(SmallVec<[&'a RawSpinLock; INLINE]>);

impl<'a> Locks<'a> {
    fn of(arms: &[AnyArm<'a>]) -> Locks<'a> {
        let mut locks: SmallVec<[&RawSpinLock; INLINE]> = SmallVec::new();
        if arms.len() <= INLINE {
            for lock in arms.iter().filter_map(|arm| arm.0.lock()) {
                if locks.iter().any(|other| other.rank() == lock.rank()) {
                    continue;
                }
                let mut at = locks.len();
                locks.push(lock);
                while at > 0 && locks[at - 1].rank() > lock.rank() {
                    locks.swap(at - 1, at);
                    at -= 1;
                }
            }
        } else {
            locks.extend(arms.iter().filter_map(|arm| arm.0.lock()));
            locks.sort_unstable_by_key(|lock| lock.rank());
            locks.dedup_by_key(|lock| lock.rank());
        }
        Locks(locks)
    }

    /// Acquires all locks; dropping the result releases them.
    fn lock(&self) -> AllLocked<'_> {
        for lock in &self.0 {
            lock.prefetch();
        }
        for lock in &self.0 {
            lock.lock();
        }
        AllLocked(&self.0)
    }
}

struct AllLocked<'a>(&'a [&'a RawSpinLock]);

impl Drop for AllLocked<'_> {
    fn drop(&mut self) {
        for lock in self.0 {
            // SAFETY: `Locks::lock`, the only function that makes an `AllLocked`, has acquired each
            // of these locks, and the engine uses the state that they guard only while `self`
            // lives.
            unsafe { lock.unlock() };
        }
    }
}

/// Waits until an arm is ready, carries out its operation and returns its index. Returns
/// `usize::MAX` if the time is over. Of several ready arms it takes one at random, each with the
/// same chance, or the first if `biased`.
///
/// # Panics
/// If an arm has been in a select before (the macros make new ones each time).
// Inlined so that the context switch is inlined into the caller (see `wait::parker`); the steps
// before and after the switch are not inlined.
#[inline(always)]
pub fn select(arms: &[AnyArm<'_>], timeout: Timeout, biased: bool) -> usize {
    assert!(
        arms.iter().all(|arm| arm.0.enter()),
        "an arm belongs to one select"
    );
    select_again(arms, timeout, biased)
}

/// [`select`] for arms that may be used in several selects, as long as they have not been chosen.
#[inline(always)]
pub(super) fn select_again(arms: &[AnyArm<'_>], timeout: Timeout, biased: bool) -> usize {
    if !matches!(timeout, Timeout::Poll) {
        wait::before_a_wait();
    }
    let mut selecting = Selecting::new(arms, timeout, biased);
    let mut parker = None;
    loop {
        match selecting.poll(&mut parker) {
            PollOutcome::Chosen(index) => return index,
            PollOutcome::Waits(parker, until) => {
                let verdict = parker.park(until);
                // SAFETY: `poll` returned `Waits`, so it has queued all arms with this parker, and
                // the parker's wait has just ended with `verdict`.
                if let Some(index) = unsafe { selecting.wake_up(verdict) } {
                    return index;
                }
            }
        }
    }
}

/// The state of a running select.
struct Selecting<'a> {
    arms: &'a [AnyArm<'a>],
    timeout: Timeout,
    end: Option<Instant>,
    locks: Locks<'a>,
    order: Order,
    /// Whether the time is over, so that the next poll of the arms is the last.
    last: bool,
}

/// The outcome of polling all arms.
enum PollOutcome<'a> {
    /// The index of the chosen arm, or `usize::MAX` if the time is over.
    Chosen(usize),
    /// No arm is ready and all are queued: park until the given moment, then call
    /// [`Selecting::wake_up`].
    Waits(&'a Parker, Option<Instant>),
}

impl<'a> Selecting<'a> {
    fn new(arms: &'a [AnyArm<'a>], timeout: Timeout, biased: bool) -> Selecting<'a> {
        Selecting {
            arms,
            timeout,
            end: timeout.end(),
            locks: Locks::of(arms),
            order: Order::new(arms.len(), biased),
            last: false,
        }
    }

    fn poll<'p>(&mut self, parker: &'p mut Option<Parker>) -> PollOutcome<'p> {
        let arms = self.arms;
        loop {
            let order = self.order.next();
            let mut told = Claimed::new();
            let held = self.locks.lock();
            // SAFETY: `held` keeps all locks, so this arm's lock is held during the poll.
            let found = order
                .iter()
                .copied()
                .find(|&index| unsafe { arms[index].0.poll(&mut told) });
            if let Some(index) = found {
                drop(held);
                told.retry();
                if arms[index].0.conclude() {
                    return PollOutcome::Chosen(index);
                }
                continue;
            }
            if self.last || matches!(self.timeout, Timeout::Poll) {
                drop(held);
                if !self.last {
                    wait::note_failed_poll();
                }
                return PollOutcome::Chosen(usize::MAX);
            }
            let parker = &*parker.insert(Parker::new());
            let mut until = self.end;
            // The arms are queued in the order in which they were polled, since a partner takes the
            // first of several arms on one channel.
            for &index in order {
                // SAFETY: `held` keeps all locks. `wake_up` dequeues all arms after the wait,
                // before any step that could unwind or return from the select, so before an arm or
                // the parker ends.
                let due = unsafe { arms[index].0.enqueue(parker, index, &mut told) };
                until = until.into_iter().chain(due).min();
            }
            drop(held);
            told.retry();
            parker.note(Why::new(WaitReason::Select, self.arms));
            return PollOutcome::Waits(parker, until);
        }
    }

    /// Takes the waiters out of the queues after a wait. Returns the index of the chosen arm, or
    /// `None` if the select has to poll again.
    ///
    /// # Safety
    /// The arms are queued, and their parker's wait has ended with `verdict`.
    unsafe fn wake_up(&mut self, verdict: Verdict) -> Option<usize> {
        let chosen = match verdict {
            Verdict::Done(index) | Verdict::Closed(index) => Some(index),
            Verdict::TimedOut | Verdict::Retry | Verdict::Pending => None,
        };
        // One lock at a time suffices: the wait is over, and a partner that meets one of the
        // waiters still queued passes it over.
        for (index, arm) in self.arms.iter().enumerate() {
            // The waiter of the chosen arm is out already: the partner took it.
            if Some(index) != chosen
                && let Some(lock) = arm.0.lock()
            {
                lock.lock();
                // SAFETY: the lock was acquired above, as `dequeue` requires. `dequeue` keeps no
                // reference to the state when it returns, so the lock can be released.
                unsafe {
                    arm.0.dequeue();
                    lock.unlock();
                }
            }
        }
        match verdict {
            Verdict::Done(index) | Verdict::Closed(index) => {
                let closed = matches!(verdict, Verdict::Closed(_));
                self.arms[index].0.won(closed);
                Some(index)
            }
            Verdict::TimedOut => {
                // Polls the arms once more: this goroutine may have woken up late, and a timed arm
                // may have become due before the end.
                self.last = self.end.is_some_and(|end| end <= clock::now());
                None
            }
            // The partner made no message: poll again.
            Verdict::Retry | Verdict::Pending => None,
        }
    }
}

/// Waits until an arm is ready, and returns its index without carrying out its operation. Returns
/// `usize::MAX` if the time is over.
pub(super) fn ready(arms: &[AnyArm<'_>], timeout: Timeout, biased: bool) -> usize {
    if !matches!(timeout, Timeout::Poll) {
        wait::before_a_wait();
    }
    let end = timeout.end();
    let locks = Locks::of(arms);
    let mut order = Order::new(arms.len(), biased);
    loop {
        let order = order.next();
        let held = locks.lock();
        // SAFETY: `held` keeps all locks while this closure is called.
        let is_ready = |index: &usize| unsafe { arms[*index].0.is_ready() };
        if let Some(index) = order.iter().copied().find(is_ready) {
            return index;
        }
        let is_over = end.is_some_and(|end| end <= clock::now());
        if is_over || matches!(timeout, Timeout::Poll) {
            drop(held);
            wait::note_failed_poll();
            return usize::MAX;
        }
        let parker = Parker::new();
        let mut until = end;
        for arm in arms {
            // SAFETY: `held` keeps all locks. The loop below calls `stop_observing` for every arm
            // before any step that could unwind or return, so before an arm or the parker ends.
            let due = unsafe { arm.0.observe(&parker) };
            until = until.into_iter().chain(due).min();
        }
        drop(held);

        parker.note(Why::new(WaitReason::Select, arms));
        parker.park(until);

        let held = locks.lock();
        for arm in arms {
            // SAFETY: `held` keeps all locks.
            unsafe { arm.0.stop_observing() };
        }
        drop(held);
    }
}

/// The order in which a select polls its arms.
struct Order {
    arms: SmallVec<[usize; INLINE]>,
    biased: bool,
}

impl Order {
    #[inline(always)]
    fn new(arms: usize, biased: bool) -> Order {
        let arms = if arms <= INLINE {
            SmallVec::from_buf_and_len([0, 1, 2, 3, 4, 5, 6, 7], arms)
        } else {
            (0..arms).collect()
        };
        Order { arms, biased }
    }

    /// Returns the order for the next poll of the arms, shuffled unless `biased`.
    fn next(&mut self) -> &[usize] {
        if !self.biased {
            random::shuffle(&mut self.arms);
        }
        &self.arms
    }
}
