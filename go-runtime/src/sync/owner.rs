//! The holder of a lock, as `debug` sees it, and the check that a caller does not wait for itself.
//!
//! The holder writes an address of its own stack, which tells goroutines and threads apart, needs
//! no thread-local, and costs a store into a cache line that the lock has just written. The holder
//! clears the address before it gives the lock back, so an address of a stack is there only while
//! code on that stack holds the lock:
//!
//! - a caller that finds an address of its own stack holds the lock itself;
//! - if another thread finds an address of a goroutine's stack, and that goroutine has been parked
//!   since before, then the goroutine holds the lock for as long as it stays parked.
//!
//! (Either may be the next goroutine on the stack of one that has leaked its guard. The lock is
//! taken for ever then as well.)

use std::mem::offset_of;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::once::Once;
use super::raw_mutex::RawMutex;
use super::raw_rw_lock::RawRwLock;
use crate::stack;
use crate::wait::{self, WaitReason};

/// An address on the stack of the lock's holder, or 0. (An atomic of std's in models, too: no code
/// that a model checks decides anything by it.)
#[repr(transparent)]
pub(crate) struct Owner(AtomicUsize);

impl Owner {
    pub(super) const fn none() -> Owner {
        Owner(AtomicUsize::new(0))
    }

    /// Notes that the caller has taken the lock.
    #[inline(always)]
    pub(super) fn set(&self) {
        self.0.store(stack::pointer().addr(), Ordering::Relaxed);
    }

    /// Notes that the caller, which holds the lock, is about to give it back.
    #[inline(always)]
    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Returns whether the caller holds the lock.
    #[inline]
    pub(super) fn is_caller(&self) -> bool {
        match self.0.load(Ordering::Relaxed) {
            0 => false,
            address => wait::is_on_own_stack(address),
        }
    }
}

/// Panics because the caller is about to wait for a lock that it holds.
#[cold]
#[track_caller]
pub(super) fn refuse_holder(reason: WaitReason) -> ! {
    let (call, lock) = match reason {
        WaitReason::RwLockRead => ("RwLock::read", "has this lock for writing"),
        WaitReason::RwLockWrite => ("RwLock::write", "has this lock for writing"),
        _ => ("Mutex::lock", "has this mutex locked"),
    };
    panic!(
        "{call}: the caller {lock} already, and would wait for itself for ever: drop the first \
         guard before, or pass it on"
    )
}

/// Where the holder of a lock is written down, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder {
    /// The address of a word with an address on the holder's stack, or 0.
    Stack(usize),
    /// The address of a word with what `goroutine::caller` returns for the holder, or 0.
    Caller(usize),
}

/// Returns where the holder of the object is written down for which a goroutine waits, if there is
/// one.
pub(crate) fn holder(reason: WaitReason, object: usize) -> Option<Holder> {
    const OWNER: usize = offset_of!(RawMutex, owner);
    const OF_WRITERS: usize = offset_of!(RawRwLock, writers) + OWNER;
    match reason {
        WaitReason::MutexLock | WaitReason::RwLockWrite => Some(Holder::Stack(object + OWNER)),
        WaitReason::RwLockRead => Some(Holder::Stack(object + OF_WRITERS)),
        WaitReason::Once => Some(Holder::Caller(object.wrapping_add_signed(Once::RUNNER))),
        _ => None,
    }
}
