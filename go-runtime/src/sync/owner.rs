//! The holder of a lock, as `debug` sees it, and a report of callers that wait for themselves.
//!
//! The holder writes an address of its own stack (to be exact, one with certain lowest bits, by
//! which a search for pointers knows that it is none), which tells goroutines and threads apart,
//! needs no thread-local, and costs a store into a cache line that the lock has just written. The
//! holder clears the address before it gives the lock back, so an address of a stack is there only
//! while code on that stack holds the lock:
//!
//! - a caller that finds an address of its own stack holds the lock itself;
//! - if another thread finds an address of a goroutine's stack, and that goroutine has been parked
//!   since before, then the goroutine holds the lock for as long as it stays parked.
//!
//! There are two exceptions. A goroutine may have leaked its guard and ended, and the next one on
//! its stack be taken for it; the lock is taken for ever then as well. And a goroutine may have
//! passed the guard on to another one of its worker, which may give the lock back. So what is
//! concluded from the address is only reported: no lock behaves differently for it.

use std::collections::BTreeSet;
use std::mem::offset_of;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::once::Once;
use super::raw_mutex::RawMutex;
use super::raw_rw_lock::RawRwLock;
use crate::goroutine;
use crate::sched::{self, global};
use crate::stack;
use crate::wait::{self, WaitReason};

/// An address on the stack of the lock's holder, or 0. (An atomic of std's in models, too: no code
/// that a model checks decides anything by it.)
#[repr(transparent)]
pub(crate) struct Owner(AtomicUsize);

/// What is added to the stack pointer, which is a multiple of 8.
const MARK: usize = 5;

/// Returns whether a word that has an address of a stack has been written by the holder of a lock:
/// words that do so for other reasons are multiples of 8, but for those that point to a byte.
pub(crate) fn is_mark_of_holder(word: usize) -> bool {
    word % 8 == MARK
}

impl Owner {
    pub(super) const fn none() -> Owner {
        Owner(AtomicUsize::new(0))
    }

    /// Notes that the caller has taken the lock.
    #[inline(always)]
    pub(super) fn set(&self) {
        // (The addition is part of the instruction that reads the stack pointer.)
        let address = stack::pointer_plus::<MARK>().addr();
        self.0.store(address, Ordering::Relaxed);
    }

    /// Notes that the caller, which holds the lock, is about to give it back.
    #[inline(always)]
    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Writes to standard error that the caller is about to wait for itself, if it holds the lock.
    #[inline]
    #[track_caller]
    pub(super) fn tell_if_caller(&self, reason: WaitReason) {
        match self.0.load(Ordering::Relaxed) {
            0 => {}
            address if wait::is_on_own_stack(address) => tell(reason),
            _ => {}
        }
    }
}

#[cold]
#[track_caller]
fn tell(reason: WaitReason) {
    let (lock, has) = match reason {
        WaitReason::RwLockRead | WaitReason::RwLockWrite => ("a lock", "has for writing"),
        _ => ("a mutex", "has locked"),
    };
    /// The places that have been reported.
    static TOLD: Mutex<BTreeSet<&Location<'_>>> = Mutex::new(BTreeSet::new());
    let place = Location::caller();
    let is_on = global::running().is_none_or(|runtime| runtime.debug().deadlock);
    let is_new = || {
        TOLD.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(place)
    };
    if is_on && is_new() {
        sched::write_report(format!(
            "go-runtime: deadlock: {} waits for {lock} that it {has} already, at {}. It waits for \
             ever, unless it has passed the guard on: drop the first guard before. \
             (GODEBUG=deadlock=0 silences this.)\n",
            goroutine::describe_caller(),
            place,
        ));
    }
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
