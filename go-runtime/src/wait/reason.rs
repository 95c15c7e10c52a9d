//! Why an operation waits, and for what: a [`WaitReason`] and an address in one word.
//!
//! ```text
//!    63     56   55     54    53                                      0
//!   +---------+------+-------+-----------------------------------------+
//!   | reason  | open | timed | address of the object; 0 if there is none
//!   +---------+------+-------+-----------------------------------------+
//! ```
//!
//! *Open* says that a deadline or a done channel may end the wait as well, or that it is not known
//! which goroutines could: such a wait is part of no deadlock that `debug` could prove. *Timed*
//! says that the goroutine's worker has a timer that ends the wait at the latest.
//!
//! The word is written when a goroutine parks, into its fiber, in a cache line that the switch
//! writes anyway (see `sched::fiber`). Any thread may read it there: `debug` does. Only the word's
//! own goroutine, and the worker that makes the goroutine runnable, write it.

use std::fmt;

use crate::sched::TIMED;

/// What a goroutine, or a thread, waits for. The words are Go's, where Go has one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
#[repr(u8)]
pub enum WaitReason {
    /// `recv` of a channel that is empty, or the end of an iteration over it.
    ChanReceive = 1,
    /// A receive from [`never`](crate::channel::never), which has no end.
    ChanReceiveNever,
    /// `send` to a channel that is full, or has no receiver waiting.
    ChanSend,
    /// A `select!` with arms, none of which is ready.
    Select,
    /// A `select!` without arms, which has no end.
    SelectNoCases,
    /// [`sleep`](crate::time::sleep) and whatever else waits for the clock only.
    Sleep,
    /// A socket, a pipe, or another descriptor that is not ready.
    IoWait,
    /// [`Mutex::lock`](crate::sync::Mutex::lock).
    MutexLock,
    /// [`RwLock::read`](crate::sync::RwLock::read).
    RwLockRead,
    /// [`RwLock::write`](crate::sync::RwLock::write).
    RwLockWrite,
    /// [`Condvar::wait`](crate::sync::Condvar::wait).
    CondvarWait,
    /// [`WaitGroup::wait`](crate::sync::WaitGroup::wait), or the end of an errgroup.
    WaitGroupWait,
    /// [`Semaphore::acquire`](crate::sync::Semaphore::acquire).
    Semacquire,
    /// [`JoinHandle::join`](crate::JoinHandle::join), with a deadline or without.
    Join,
    /// The end of a [`scope`](crate::scope), which waits for the goroutines in it.
    Scope,
    /// A call of [`blocking`](crate::blocking), or a file or a process, which runs on another
    /// thread.
    Blocking,
    /// [`block_on`](crate::block_on), which waits for the future's waker.
    Future,
    /// A [`Once`](crate::sync::Once), or a lazy value, which another goroutine initializes.
    Once,
    /// [`Barrier::wait`](crate::sync::Barrier::wait).
    Barrier,
}

/// All reasons, in the order of their numbers, which begin at 1.
pub(crate) const ALL: [WaitReason; 19] = [
    WaitReason::ChanReceive,
    WaitReason::ChanReceiveNever,
    WaitReason::ChanSend,
    WaitReason::Select,
    WaitReason::SelectNoCases,
    WaitReason::Sleep,
    WaitReason::IoWait,
    WaitReason::MutexLock,
    WaitReason::RwLockRead,
    WaitReason::RwLockWrite,
    WaitReason::CondvarWait,
    WaitReason::WaitGroupWait,
    WaitReason::Semacquire,
    WaitReason::Join,
    WaitReason::Scope,
    WaitReason::Blocking,
    WaitReason::Future,
    WaitReason::Once,
    WaitReason::Barrier,
];

impl WaitReason {
    /// Returns the words for the reason, such as `chan receive`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            WaitReason::ChanReceive => "chan receive",
            WaitReason::ChanReceiveNever => "chan receive (never)",
            WaitReason::ChanSend => "chan send",
            WaitReason::Select => "select",
            WaitReason::SelectNoCases => "select (no cases)",
            WaitReason::Sleep => "sleep",
            WaitReason::IoWait => "IO wait",
            WaitReason::MutexLock => "sync.Mutex.Lock",
            WaitReason::RwLockRead => "sync.RWMutex.RLock",
            WaitReason::RwLockWrite => "sync.RWMutex.Lock",
            WaitReason::CondvarWait => "sync.Cond.Wait",
            WaitReason::WaitGroupWait => "sync.WaitGroup.Wait",
            WaitReason::Semacquire => "semacquire",
            WaitReason::Join => "join",
            WaitReason::Scope => "scope",
            WaitReason::Blocking => "blocking",
            WaitReason::Future => "future",
            WaitReason::Once => "once",
            WaitReason::Barrier => "barrier",
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

pub(crate) const REASON_SHIFT: u32 = 56;
const OPEN: u64 = 1 << (REASON_SHIFT - 1);

/// A reason with the address of what is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Why(u64);

impl Why {
    /// The word of a goroutine that waits for nothing.
    pub(crate) const NOTHING: Why = Why(0);

    /// The object's address only tells one object from another: nothing is read there.
    #[inline(always)]
    pub(crate) fn new<T: ?Sized>(reason: WaitReason, object: *const T) -> Why {
        // No address of a process has one of the upper ten bits.
        Why((reason as u64) << REASON_SHIFT | object.cast::<()>().addr() as u64)
    }

    /// Makes a reason without an object.
    #[inline(always)]
    pub(crate) fn alone(reason: WaitReason) -> Why {
        Why((reason as u64) << REASON_SHIFT)
    }

    /// Returns the same wait, marked as open.
    #[inline(always)]
    pub(crate) fn open(self) -> Why {
        Why(self.0 | OPEN)
    }

    /// Returns the same wait, marked as open if `is_open`.
    #[inline(always)]
    pub(crate) fn open_if(self, is_open: bool) -> Why {
        if is_open { self.open() } else { self }
    }

    /// Returns whether a timer ends the wait at the latest.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_timed(self) -> bool {
        self.0 & TIMED != 0
    }

    /// Returns whether the wait is open.
    pub(crate) fn is_open(self) -> bool {
        self.0 & OPEN != 0
    }

    #[inline(always)]
    pub(crate) const fn to_word(self) -> u64 {
        self.0
    }

    /// Returns what a word says that is waited for; `None` if that is nothing.
    pub(crate) fn of_word(word: u64) -> Option<Why> {
        (word != Self::NOTHING.0).then_some(Why(word))
    }

    /// Returns whether it is waited for what may come from outside of the process, or from a thread
    /// that runs.
    pub(crate) fn is_for_outside(self) -> bool {
        matches!(
            Self::read(self.0),
            None | Some((WaitReason::IoWait | WaitReason::Blocking, _))
        )
    }

    /// Returns the reason and the address in a word; `None` if the word says that nothing is waited
    /// for.
    pub(crate) fn read(word: u64) -> Option<(WaitReason, usize)> {
        let number = (word >> REASON_SHIFT) as usize;
        let reason = ALL.get(number.checked_sub(1)?)?;
        let address = word & (TIMED - 1);
        Some((*reason, address as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_the_reason_and_the_address() {
        let object = 7_u32;
        for (index, reason) in ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index + 1);
            let why = Why::new(reason, &raw const object);
            assert!(!why.is_open() && why.open().is_open());
            for why in [why, why.open()] {
                let read = Why::read(why.to_word());
                assert_eq!(read, Some((reason, (&raw const object).addr())));
            }
        }
        assert_eq!(
            Why::read(Why::alone(WaitReason::Sleep).to_word()),
            Some((WaitReason::Sleep, 0))
        );
        assert_eq!(Why::read(0), None);
        assert_eq!(Why::read(u64::MAX), None);
    }
}
