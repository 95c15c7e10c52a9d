//! How a select runs, whatever its arms are.
//!
//! A select locks all its channels, in the order of their addresses, so two selects over the same
//! channels cannot deadlock. Under the locks it either takes a ready arm, or queues a waiter in
//! each channel, all with one parker: the partner that claims the parker decides which arm wins.
//! After the wait the select locks one channel after the other and takes its other waiters out; a
//! partner that meets one of them before cannot claim it, and passes it over.
//!
//! ```text
//!   lock all -> poll arms from a random one -> one ready: unlock all, conclude that arm
//!                                           -> none: enqueue all, unlock all, park
//!                                              woken: dequeue from each channel, conclude
//! ```
//!
//! A select that only asks which arm is ready (`ready`) queues *observers* instead (see
//! `channel::observe`): they are told when an operation has become possible, and look again.

use std::fmt;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::clock;
use crate::primitives::random;
use crate::primitives::spin_lock::RawSpinLock;
use crate::wait::{self, Claimed, Parker, Verdict};

/// Selects with more arms than this allocate.
pub(super) const INLINE: usize = 8;

/// How long a select waits.
#[derive(Clone, Copy, Debug)]
pub enum Timeout {
    /// Not at all (`default`).
    Poll,
    /// For so long (`default(duration)`).
    After(Duration),
    /// Until then.
    Until(Instant),
    /// Until an arm is ready.
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
/// All methods that ask for the lock use the channel's state only as it allows; `dequeue` and
/// `stop_observing` leave no pointer to the arm in the channel.
pub(super) unsafe trait Arm {
    /// Marks the arm as used: it belongs to one select, and once.
    fn enter(&self) -> bool;

    /// The lock that guards the channel, if it has one.
    fn lock(&self) -> Option<&RawSpinLock>;

    /// Tries to carry out the operation. `true`: it has been, or is certain to be;
    /// [`conclude`](Self::conclude) does the rest, and who is in `told` is told so once no lock is
    /// held.
    ///
    /// # Safety
    /// The caller holds the lock.
    unsafe fn poll(&self, told: &mut Claimed) -> bool;

    /// What is left to do for a ready arm once no lock is held. `false`: it came to nothing, select
    /// again.
    fn conclude(&self) -> bool;

    /// Queues the arm's waiter; `told` is as for [`poll`](Self::poll). If the arm becomes ready by
    /// itself: when.
    ///
    /// # Safety
    /// The caller holds the lock, and dequeues before the parker or the arm goes.
    unsafe fn enqueue(&self, parker: &Parker, index: usize, told: &mut Claimed) -> Option<Instant>;

    /// Takes the arm's waiter out of the queue if it is still there.
    ///
    /// # Safety
    /// The caller holds the lock.
    unsafe fn dequeue(&self);

    /// The parker was unparked for this arm: `closed` says how.
    fn won(&self, closed: bool);

    /// Whether a poll would succeed.
    ///
    /// # Safety
    /// The caller holds the lock.
    unsafe fn is_ready(&self) -> bool;

    /// Queues the arm's waiter as one who only wants to look again when something has changed. If
    /// the arm becomes ready by itself: when.
    ///
    /// # Safety
    /// As for [`enqueue`](Self::enqueue), with [`stop_observing`](Self::stop_observing).
    unsafe fn observe(&self, parker: &Parker) -> Option<Instant>;

    /// Takes it out again if it is still there.
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

/// The locks of all arms, each once, in an order that is the same for all: two selects cannot wait
/// for each other.
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

    /// Locks all until the result is dropped.
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
            // SAFETY: locked in `Locks::lock`, and what it guards is used only while `self` lives.
            unsafe { lock.unlock() };
        }
    }
}

/// Waits until an arm is ready, carries out its operation and returns its number; `usize::MAX` if
/// the time is over. Of several ready arms it takes one at random, each with the same chance, or if
/// `biased` the first.
///
/// # Panics
/// If an arm has been in a select before (the macros make new ones each time).
// Inlined for the sake of the switch (see `wait::parker`); what goes before and after it is not.
#[inline(always)]
pub fn select(arms: &[AnyArm<'_>], timeout: Timeout, biased: bool) -> usize {
    assert!(
        arms.iter().all(|arm| arm.0.enter()),
        "an arm belongs to one select"
    );
    select_again(arms, timeout, biased)
}

/// [`select`] for arms that are used again as long as they have not been chosen.
#[inline(always)]
pub(super) fn select_again(arms: &[AnyArm<'_>], timeout: Timeout, biased: bool) -> usize {
    if !matches!(timeout, Timeout::Poll) {
        wait::before_a_wait();
    }
    let mut selecting = Selecting::new(arms, timeout, biased);
    let mut parker = None;
    loop {
        match selecting.look(&mut parker) {
            Look::Chosen(index) => return index,
            Look::Waits(parker, until) => {
                let verdict = parker.park(until);
                // SAFETY: the arms were queued with this parker.
                if let Some(index) = unsafe { selecting.wake_up(verdict) } {
                    return index;
                }
            }
        }
    }
}

/// A select under way.
struct Selecting<'a> {
    arms: &'a [AnyArm<'a>],
    timeout: Timeout,
    end: Option<Instant>,
    locks: Locks<'a>,
    order: Order,
    /// The time is over: this look is the last one.
    last: bool,
}

/// What a look at all arms has led to.
enum Look<'a> {
    /// The number of an arm, or `usize::MAX`.
    Chosen(usize),
    /// All arms are queued: park until then, and call [`Selecting::wake_up`].
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

    fn look<'p>(&mut self, parker: &'p mut Option<Parker>) -> Look<'p> {
        let arms = self.arms;
        loop {
            let order = self.order.next();
            let mut told = Claimed::new();
            let held = self.locks.lock();
            // SAFETY: all locks are held.
            let found = order
                .iter()
                .copied()
                .find(|&index| unsafe { arms[index].0.poll(&mut told) });
            if let Some(index) = found {
                drop(held);
                told.look_again();
                if arms[index].0.conclude() {
                    return Look::Chosen(index);
                }
                continue;
            }
            if self.last || matches!(self.timeout, Timeout::Poll) {
                drop(held);
                if !self.last {
                    wait::polled_in_vain();
                }
                return Look::Chosen(usize::MAX);
            }
            let parker = &*parker.insert(Parker::new());
            let mut until = self.end;
            // In the order of the looks, because a partner takes the first of several arms on one
            // channel.
            for &index in order {
                // SAFETY: the lock is held; `wake_up` dequeues, before anything that could unwind
                // or return.
                let due = unsafe { arms[index].0.enqueue(parker, index, &mut told) };
                until = until.into_iter().chain(due).min();
            }
            drop(held);
            told.look_again();
            return Look::Waits(parker, until);
        }
    }

    /// What the end of a wait has led to: the number of an arm, or `None`, look again.
    ///
    /// # Safety
    /// The arms are queued, and their parker's wait has ended with `verdict`.
    unsafe fn wake_up(&mut self, verdict: Verdict) -> Option<usize> {
        let chosen = match verdict {
            Verdict::Done(index) | Verdict::Closed(index) => Some(index),
            Verdict::TimedOut | Verdict::Retry | Verdict::Pending => None,
        };
        // One lock at a time: the wait is over, and whoever meets one of the waiters still queued
        // passes it over.
        for (index, arm) in self.arms.iter().enumerate() {
            // Who has chosen an arm has taken its waiter out.
            if Some(index) != chosen
                && let Some(lock) = arm.0.lock()
            {
                lock.lock();
                // SAFETY: locked just now, and unlocked when nothing of what it guards is used any
                // more.
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
                // One last look: this may be late, and an arm that is due by itself earlier than
                // the end.
                self.last = self.end.is_some_and(|end| end <= clock::now());
                None
            }
            // A partner took its offer back.
            Verdict::Retry | Verdict::Pending => None,
        }
    }
}

/// Waits until an arm is ready, and returns its number without carrying out its operation;
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
        // SAFETY: all locks are held.
        let is_ready = |index: &usize| unsafe { arms[*index].0.is_ready() };
        if let Some(index) = order.iter().copied().find(is_ready) {
            return index;
        }
        let is_over = end.is_some_and(|end| end <= clock::now());
        if is_over || matches!(timeout, Timeout::Poll) {
            drop(held);
            wait::polled_in_vain();
            return usize::MAX;
        }
        let parker = Parker::new();
        let mut until = end;
        for arm in arms {
            // SAFETY: the lock is held; taken out below, before anything that could unwind or
            // return.
            let due = unsafe { arm.0.observe(&parker) };
            until = until.into_iter().chain(due).min();
        }
        drop(held);

        parker.park(until);

        let held = locks.lock();
        for arm in arms {
            // SAFETY: the lock is held.
            unsafe { arm.0.stop_observing() };
        }
        drop(held);
    }
}

/// In which order a select looks at its arms.
struct Order {
    arms: SmallVec<[usize; INLINE]>,
    biased: bool,
}

impl Order {
    fn new(arms: usize, biased: bool) -> Order {
        let arms = if arms <= INLINE {
            SmallVec::from_buf_and_len([0, 1, 2, 3, 4, 5, 6, 7], arms)
        } else {
            (0..arms).collect()
        };
        Order { arms, biased }
    }

    /// The order of the next look.
    fn next(&mut self) -> &[usize] {
        if !self.biased {
            random::shuffle(&mut self.arms);
        }
        &self.arms
    }
}
