//! The raw semaphore: the permits of a [`Semaphore`](super::Semaphore), and the queue of goroutines
//! and threads that wait for permits.
//!
//! This module owns the word `permits` and the queue. `permits` holds the number of free permits
//! and one bit, `QUEUED`, which says that a waiter is queued or the semaphore is closed:
//!
//! ```text
//! bits  63 .. 1                     0
//!      [number of free permits | QUEUED]
//! ```
//!
//! While `QUEUED` is clear, any thread takes permits and gives them back by one compare-exchange.
//! While `QUEUED` is set, the number changes only under the queue's lock, so a newcomer cannot
//! overtake a waiter. Waiters are numbered in the order in which they come. Each waiter has a
//! channel of its own, on which it receives a message once it has been granted its permits; so it
//! waits by a select, which also waits for a deadline or a done channel. A caller that gives
//! permits back takes permits for the first waiters at once, and sends their messages after it has
//! released the lock.

use std::collections::BTreeMap;
use std::mem;
use std::sync::PoisonError;

use smallvec::SmallVec;

use super::AcquireError;
use crate::channel::{Receiver, Sender, bounded};
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::const_fn;
use crate::primitives::lock::{Mutex, MutexGuard};
use crate::wait::{self, WaitReason, Why, before_a_wait, note_failed_poll};

/// In `permits`: a waiter is queued or the semaphore is closed, so only the holder of the queue's
/// lock changes the word.
const QUEUED: usize = 1;
/// In `permits`: one free permit.
const ONE: usize = 2;

/// Maximum number of permits.
pub(crate) const MAX: usize = usize::MAX / ONE;

pub(crate) struct RawSemaphore {
    permits: AtomicUsize,
    queue: Mutex<Queue>,
}

struct Queue {
    /// The waiters by their numbers, so in the order in which they came.
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
    closed: bool,
}

struct Waiting {
    wants: usize,
    /// Sends one message when the permits are the waiter's; dropped without a message if the
    /// semaphore is closed.
    granted: Sender<()>,
}

/// Waiters that have got their permits. They are told once no lock is held.
type Granted = SmallVec<[Waiting; 4]>;

impl RawSemaphore {
    const_fn! {
        pub(crate) fn new(permits: usize) -> RawSemaphore {
            RawSemaphore {
                permits: AtomicUsize::new(permits * ONE),
                queue: Mutex::new(Queue {
                    waiting: BTreeMap::new(),
                    next: 0,
                    closed: false,
                }),
            }
        }
    }

    pub(crate) fn free(&self) -> usize {
        self.permits.load(Ordering::Relaxed) / ONE
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Closes the semaphore: neither a waiter nor a later caller gets permits.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        self.permits.fetch_or(QUEUED, Ordering::Relaxed);
        let waiting = mem::take(&mut queue.waiting);
        drop(queue);
        // This closes the channels of the waiters.
        drop(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `n` permits if they are free and `QUEUED` is clear, so that neither the queue nor
    /// `closed` need be read. Returns whether the permits were taken.
    fn take_free(&self, n: usize) -> bool {
        let wanted = n.checked_mul(ONE);
        let taken = self
            .permits
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |permits| {
                let left = permits.checked_sub(wanted?)?;
                (permits & QUEUED == 0).then_some(left)
            });
        taken.is_ok()
    }

    /// Takes `n` permits if they are free and there are no waiters.
    pub(crate) fn try_take(&self, n: usize) -> Result<(), AcquireError> {
        if self.take_free(n) || n == 0 && !self.is_closed() {
            return Ok(());
        }
        note_failed_poll();
        Err(if self.is_closed() {
            AcquireError::Closed
        } else {
            AcquireError::NoPermits
        })
    }

    /// Takes `n` permits, and waits for them if need be.
    ///
    /// `wait` receives from a channel, which gets a message once the permits are the caller's, and
    /// is closed without a message if the semaphore is closed.
    pub(crate) fn take(
        &self,
        n: usize,
        wait: impl FnOnce(&Receiver<()>) -> Result<(), AcquireError>,
    ) -> Result<(), AcquireError> {
        before_a_wait();
        if self.take_free(n) {
            return Ok(());
        }
        let Some((number, granted)) = self.enqueue(n)? else {
            return Ok(());
        };
        let why = Why::new(WaitReason::Semacquire, self);
        match wait::named(why, || wait(&granted)) {
            Ok(()) => Ok(()),
            Err(AcquireError::Closed) => Err(AcquireError::Closed),
            Err(error) => self.give_up(number, n, &granted, error),
        }
    }

    /// Puts the caller into the queue. Returns `None` if it got its permits instead, because enough
    /// were free after all.
    fn enqueue(&self, n: usize) -> Result<Option<(u64, Receiver<()>)>, AcquireError> {
        let (told, granted) = bounded(1);
        let mut queue = self.lock();
        if queue.closed {
            drop(queue);
            note_failed_poll();
            return Err(AcquireError::Closed);
        }
        if n == 0 || queue.waiting.is_empty() && self.take_or_mark(n) {
            return Ok(None);
        }
        let number = queue.next;
        queue.next += 1;
        let waiting = Waiting {
            wants: n,
            granted: told,
        };
        queue.waiting.insert(number, waiting);
        Ok(Some((number, granted)))
    }

    /// Takes `n` permits, or sets `QUEUED` if not enough are free. Returns whether the permits were
    /// taken. The caller holds the queue's lock, and the queue is empty.
    fn take_or_mark(&self, n: usize) -> bool {
        let mut taken = false;
        let _ = self
            .permits
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |permits| {
                let left = n.checked_mul(ONE).and_then(|n| permits.checked_sub(n));
                taken = left.is_some();
                Some(left.unwrap_or(permits | QUEUED))
            });
        taken
    }

    /// Ends a wait with `error`, unless the permits were granted meanwhile.
    fn give_up(
        &self,
        number: u64,
        n: usize,
        granted: &Receiver<()>,
        error: AcquireError,
    ) -> Result<(), AcquireError> {
        let mut queue = self.lock();
        if queue.waiting.remove(&number).is_some() {
            // The waiters behind the removed one may want fewer permits.
            let next = self.serve(&mut queue);
            drop(queue);
            tell(next);
            return Err(error);
        }
        drop(queue);
        // The thread that took the waiter out of the queue sends it a message, or closes its
        // channel.
        match (granted.recv(), error) {
            (Err(_), _) => Err(AcquireError::Closed),
            // As in Go, a canceled caller gets no permits.
            (Ok(()), AcquireError::Canceled) => {
                self.give_back(n);
                Err(error)
            }
            (Ok(()), _) => Ok(()),
        }
    }

    /// Gives `n` permits back. (The number saturates at [`MAX`]: a `drop` cannot report an error.)
    pub(crate) fn give_back(&self, n: usize) {
        self.give(n, |free, n| Some(free.saturating_add(n).min(MAX)));
    }

    /// Adds `n` permits, and grants permits to the first waiters.
    ///
    /// `add` computes the new number of free permits from the old one and `n`. Returns whether the
    /// permits were added; they are not if `add` returns `None` or more than [`MAX`].
    pub(crate) fn give(&self, n: usize, add: fn(usize, usize) -> Option<usize>) -> bool {
        let more = |permits: usize| {
            let free = add(permits / ONE, n).filter(|free| *free <= MAX)?;
            Some((free * ONE) | (permits & QUEUED))
        };
        let given = self
            .permits
            .fetch_update(Ordering::Release, Ordering::Relaxed, |permits| {
                more(permits).filter(|_| permits & QUEUED == 0)
            });
        let Err(permits) = given else {
            return true;
        };
        if more(permits).is_none() {
            return false;
        }
        let mut queue = self.lock();
        let given = self
            .permits
            .fetch_update(Ordering::Release, Ordering::Relaxed, more);
        let next = self.serve(&mut queue);
        drop(queue);
        tell(next);
        given.is_ok()
    }

    /// Takes permits for the first waiters, as long as enough are free, and takes these waiters out
    /// of the queue. The caller holds the lock of `queue`, and tells the returned waiters after it
    /// has released the lock.
    fn serve(&self, queue: &mut Queue) -> Granted {
        let mut granted = Granted::new();
        let mut free = self.permits.load(Ordering::Acquire) / ONE;
        while let Some(first) = queue.waiting.first_entry()
            && first.get().wants <= free
        {
            free -= first.get().wants;
            granted.push(first.remove());
        }
        if self.permits.load(Ordering::Relaxed) & QUEUED != 0 {
            // While `QUEUED` is set, only the holder of the queue's lock, the caller, changes the
            // number.
            let waits = queue.closed || !queue.waiting.is_empty();
            let permits = (free * ONE) | usize::from(waits);
            self.permits.store(permits, Ordering::Release);
        }
        granted
    }
}

/// Tells the waiters that they have their permits. The caller holds no lock.
fn tell(granted: Granted) {
    for waiting in granted {
        // The waiter receives this message now or soon: the channel has room and a receiver. A
        // waiter that is giving up receives the message in `give_up`.
        let _ = waiting.granted.send(());
    }
}
