//! A worker's inbox: the goroutines that other threads have woken, and whether the worker is
//! asleep.
//!
//! Any thread may push; only the owner, the worker's thread, drains and sleeps. One word holds both
//! facts, the list and the sleep, so that no wake-up can fall between them. The thread that changes
//! the word away from a [`Sleep`], and only that thread, has to wake the owner's thread.
//!
//! ```text
//!  word                    meaning
//! +---------------------+
//! | 0     EMPTY         |  nothing in it; the owner is awake
//! +---------------------+
//! | 1, 3  asleep(Sleep) |  nothing in it; the owner sleeps, or is about to (in one of two ways)
//! +---------------------+
//! | 2     NOTIFIED      |  nothing in it; another thread has told the owner to search for work
//! +---------------------+
//! | address of a node   |  a list of woken goroutines, newest first, which ends in the word that
//! +---------------------+  the first push found
//!      |
//!      v
//!   newest            oldest
//! +---------+       +---------+
//! | next  --+-> ... | next  --+--> EMPTY, asleep or NOTIFIED
//! | payload |       | payload |
//! +---------+       +---------+
//!
//!          fall_asleep                   push, notify, wake_up
//!  EMPTY ---------------> asleep(Sleep) ----------------------> a node, NOTIFIED, EMPTY
//!    ^                                                               |
//!    +----------------------------- drain ---------------------------+
//! ```

use std::ptr;

use crate::primitives::atomic::{AtomicPtr, Ordering};
use crate::primitives::prefetch::prefetch_to_write;

/// An entry in an inbox. It lies in memory of the goroutine that is being woken, which stays in
/// place until the owner of the inbox has taken the node out and runs that goroutine again.
pub(crate) struct Node<P> {
    next: AtomicPtr<Node<P>>,
    payload: P,
}

impl<P: Copy> Node<P> {
    pub(crate) fn new(payload: P) -> Self {
        Node {
            next: AtomicPtr::new(ptr::null_mut()),
            payload,
        }
    }

    pub(crate) fn payload(&self) -> P {
        self.payload
    }

    /// Returns the node that this one is linked to: another one of its chain, unless it is the
    /// chain's first.
    pub(crate) fn next(&self) -> *const Node<P> {
        self.next.load(Ordering::Relaxed)
    }

    /// Links this node to the nodes of goroutines that were woken `earlier`, so as to form a chain.
    pub(crate) fn link(&self, earlier: *const Node<P>) {
        self.next.store(earlier.cast_mut(), Ordering::Relaxed);
    }
}

/// The result of [`Inbox::drain`], besides the goroutines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Drained {
    /// Whether another thread notified the owner, and so counted the owner as searching for work.
    pub(crate) notified: bool,
}

/// How an owner sleeps. The inbox only passes this on to the thread that ends the sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sleep {
    /// Counted among the sleepers that can be notified.
    Counted = 1,
    Uncounted = 3,
}

fn sleep_of<P>(word: *mut Node<P>) -> Option<Sleep> {
    [Sleep::Counted, Sleep::Uncounted]
        .into_iter()
        .find(|sleep| word == asleep(*sleep))
}

pub(crate) struct Inbox<P> {
    word: AtomicPtr<Node<P>>,
}

const fn empty<P>() -> *mut Node<P> {
    ptr::null_mut()
}
const fn asleep<P>(sleep: Sleep) -> *mut Node<P> {
    ptr::without_provenance_mut(sleep as usize)
}
const fn notified<P>() -> *mut Node<P> {
    ptr::without_provenance_mut(2)
}
fn is_node<P>(word: *mut Node<P>) -> bool {
    word.addr() > 3
}

impl<P: Copy> Inbox<P> {
    pub(crate) fn new() -> Self {
        Inbox {
            word: AtomicPtr::new(empty()),
        }
    }

    /// Puts woken goroutines into the inbox: one node, or a chain made with [`Node::link`], from
    /// the `last` woken goroutine to the `first`. Returns how the owner slept, if it did: then the
    /// caller has to wake the owner's thread.
    ///
    /// # Safety
    /// Each node is in no inbox, and stays valid until the owner has drained it.
    #[must_use]
    pub(crate) unsafe fn push(&self, last: *const Node<P>, first: *const Node<P>) -> Option<Sleep> {
        prefetch_to_write((&raw const self.word).cast());
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller makes sure that the node is valid and in no inbox, so no other
            // thread reads it before the exchange below publishes it.
            unsafe { (*first).next.store(word, Ordering::Relaxed) };
            match self.word.compare_exchange_weak(
                word,
                last.cast_mut(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return sleep_of(word),
                Err(now) => word = now,
            }
        }
    }

    /// Returns whether a drain would find something; the answer may be a moment old.
    #[inline]
    pub(crate) fn is_nonempty(&self) -> bool {
        self.word.load(Ordering::Relaxed) != empty()
    }

    /// Takes everything out, oldest first, and leaves the owner awake. Only the owner may call
    /// this.
    pub(crate) fn drain(&self, mut take: impl FnMut(P)) -> Drained {
        let mut word = self.word.swap(empty(), Ordering::AcqRel);
        // The list is newest first; reverse it, so that the goroutine woken first runs first.
        let mut oldest: *mut Node<P> = ptr::null_mut();
        while is_node(word) {
            // SAFETY: the pusher made sure that the node stays valid until it has been drained, and
            // the swap made the list this thread's own. The pusher's release and the swap's acquire
            // make the pusher's writes visible.
            let next = unsafe { (*word).next.load(Ordering::Relaxed) };
            // SAFETY: the node stays valid until it has been drained, and since the swap only this
            // thread has access to it.
            unsafe { (*word).next.store(oldest, Ordering::Relaxed) };
            oldest = word;
            word = next;
        }
        while !oldest.is_null() {
            // SAFETY: the node stays valid until `take` gets its payload, and only this thread has
            // access to it. After `take` the goroutine may run, so both fields are read before, and
            // the node is not touched again.
            let (payload, next) =
                unsafe { ((*oldest).payload, (*oldest).next.load(Ordering::Relaxed)) };
            take(payload);
            oldest = next;
        }
        Drained {
            notified: word == notified(),
        }
    }

    /// Announces that the owner will sleep. Returns whether the owner may sleep, which it may not
    /// if the inbox holds anything. Only the owner may call this.
    #[must_use]
    pub(crate) fn fall_asleep(&self, sleep: Sleep) -> bool {
        self.word
            .compare_exchange(empty(), asleep(sleep), Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
    }

    /// Returns whether the owner's announcement still stands. While it stands, the owner's thread
    /// may sleep.
    pub(crate) fn is_asleep(&self) -> bool {
        sleep_of(self.word.load(Ordering::Acquire)).is_some()
    }

    /// Takes the owner's announcement back, and returns how the owner slept. Returns `None` if
    /// another thread has already ended the sleep. Only the owner may call this.
    #[must_use]
    pub(crate) fn wake_up(&self) -> Option<Sleep> {
        self.end_sleep(empty())
    }

    /// Notifies a sleeping owner that it should search for work. Returns how the owner slept, if it
    /// did: then the caller has to wake the owner's thread.
    #[must_use]
    pub(crate) fn notify(&self) -> Option<Sleep> {
        self.end_sleep(notified())
    }

    fn end_sleep(&self, new: *mut Node<P>) -> Option<Sleep> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let sleep = sleep_of(word)?;
            match self
                .word
                .compare_exchange(word, new, Ordering::SeqCst, Ordering::Relaxed)
            {
                Ok(_) => return Some(sleep),
                Err(now) => word = now,
            }
        }
    }
}
