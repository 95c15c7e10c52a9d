//! The waker of a `block_on`: one word, which says whether somebody has called since the last poll,
//! and who waits for that.
//!
//! A parker in the word is parked, or about to be, until it is unparked by whoever takes it out;
//! nobody but a call takes it out. So a parker's memory, which is on the waiting one's stack,
//! outlives what others do with it.
//!
//! A call never waits for anything: it may come from under any lock, and from within the poll
//! itself.

use std::ptr;
use std::sync::Arc;
use std::task::Wake;

use crate::primitives::atomic::{AtomicPtr, Ordering};
use crate::wait::{Parker, Verdict};

pub(super) struct Signal {
    /// Null, or the one that waits, or [`called`].
    word: AtomicPtr<Parker>,
}

/// Somebody has called, and nobody has waited for that yet.
const fn called() -> *mut Parker {
    ptr::without_provenance_mut(1)
}

impl Signal {
    pub(super) fn new() -> Signal {
        Signal {
            word: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Takes a call that has come already.
    pub(super) fn take(&self) -> bool {
        // Acquire: what the caller did before its call is seen by the next poll.
        self.word
            .compare_exchange(
                called(),
                ptr::null_mut(),
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .is_ok()
    }

    /// Waits for a call, and takes it. Only for the one that has made the signal: there is one
    /// place.
    pub(super) fn wait(&self) {
        let parker = Parker::new();
        let ours = ptr::from_ref(&parker).cast_mut();
        let stands =
            self.word
                .compare_exchange(ptr::null_mut(), ours, Ordering::AcqRel, Ordering::Acquire);
        if stands.is_ok() {
            parker.park(None);
        }
        // Either a call was there, or one has ended the park; others may have come since, and are
        // answered by the same poll.
        self.word.swap(ptr::null_mut(), Ordering::AcqRel);
    }

    fn call(&self) {
        let waiting = self.word.swap(called(), Ordering::AcqRel);
        if waiting.is_null() || waiting == called() {
            return;
        }
        // SAFETY: it stands in the word, so it waits until it is unparked. The swap has taken it
        // out, which stands for the claim: its wait has no deadline, and nobody else ends it.
        unsafe { Parker::unpark(waiting, Verdict::Done(0)) };
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.call();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.call();
    }
}
