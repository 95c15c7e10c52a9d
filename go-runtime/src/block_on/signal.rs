//! The waker of a `block_on`: one word, which holds whether the waker has been called since the
//! last poll, or the parker of the thread that waits for a call.
//!
//! ```text
//!             call                      call: unpark
//!    null ------------> called     parker ------------> called
//!      ^                  |          ^                     |
//!      +---- take, wait --+          |                     |
//!      +---- wait ------- parks -----+                     |
//!      +------------------ the waiter continues -----------+
//! ```
//!
//! Invariant: a parker in the word is parked, or about to park, until the thread that swaps it out
//! unparks it; only a call swaps it out. So the parker, which lies on the waiting thread's stack,
//! outlives its use by other threads.
//!
//! A call never blocks: a waker may be called under any lock, and from within the poll itself.

use std::ptr;
use std::sync::Arc;
use std::task::Wake;

use crate::primitives::atomic::{AtomicPtr, Ordering};
use crate::wait::{Parker, Verdict, WaitReason, Why};

pub(super) struct Signal {
    /// Null, the parker of the waiting thread, or [`called`].
    word: AtomicPtr<Parker>,
}

/// The value of the word when the waker has been called, and no wait has consumed the call.
const fn called() -> *mut Parker {
    ptr::without_provenance_mut(1)
}

impl Signal {
    pub(super) fn new() -> Signal {
        Signal {
            word: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Consumes a call of the waker that came earlier. Returns whether there was such a call.
    pub(super) fn take(&self) -> bool {
        // Acquire: the next poll sees what the calling thread did before the call.
        self.word
            .compare_exchange(
                called(),
                ptr::null_mut(),
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .is_ok()
    }

    /// Blocks until there is a call, and consumes it. Only the creator of the signal may wait: the
    /// word has room for one parker.
    pub(super) fn wait(&self) {
        let parker = Parker::new();
        let ours = ptr::from_ref(&parker).cast_mut();
        let stands =
            self.word
                .compare_exchange(ptr::null_mut(), ours, Ordering::AcqRel, Ordering::Acquire);
        if stands.is_ok() {
            parker.note(Why::new(WaitReason::Future, self));
            parker.park(None);
        }
        // The word now holds `called`: a call came either before the park, or ended it. There may
        // have been more calls since then; one poll answers all of them.
        self.word.swap(ptr::null_mut(), Ordering::AcqRel);
    }

    fn call(&self) {
        let waiting = self.word.swap(called(), Ordering::AcqRel);
        if waiting.is_null() || waiting == called() {
            return;
        }
        // SAFETY: a parker in the word waits until it is unparked, so the pointer is valid.
        // Swapping the parker out stands for the claim: only one call gets it, its wait has no
        // deadline, and no other code ends the wait.
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
