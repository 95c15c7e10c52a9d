//! The permits of a [`Semaphore`](super::Semaphore), and who waits for them.
//!
//! `permits` has the number of free ones, and one bit, `QUEUED`: somebody waits, or the semaphore
//! is closed. While it is clear, permits are taken and given back by one compare-exchange. While it
//! is set the number changes only under the queue's lock, so who comes along cannot pass those who
//! wait. They are numbered as they come, and each has a channel of its own on which it is told that
//! the permits are his; so a wait can be given up by a deadline or a done channel with what
//! channels have for that. Whoever gives permits back takes them out again for those who wait;
//! then, with no lock held, tells them.

use std::collections::BTreeMap;
use std::mem;
use std::sync::PoisonError;

use smallvec::SmallVec;

use super::AcquireError;
use crate::channel::{Receiver, Sender, bounded};
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::const_fn;
use crate::primitives::lock::{Mutex, MutexGuard};
use crate::wait::{before_a_wait, polled_in_vain};

/// Only under the queue's lock is anything changed.
const QUEUED: usize = 1;
/// Permits are counted in these.
const ONE: usize = 2;

pub(crate) const MAX: usize = usize::MAX / ONE;

pub(crate) struct RawSemaphore {
    permits: AtomicUsize,
    queue: Mutex<Queue>,
}

struct Queue {
    /// By their numbers, which is in the order in which they came.
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
    closed: bool,
}

struct Waiting {
    wants: usize,
    /// Gets a message with the permits; dropped without one if the semaphore is closed.
    granted: Sender<()>,
}

/// Those whose turn has come, to be told once no lock is held.
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

    /// Who waits gets nothing, nor does anybody later.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        self.permits.fetch_or(QUEUED, Ordering::Relaxed);
        let waiting = mem::take(&mut queue.waiting);
        drop(queue);
        // Their channels are closed.
        drop(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes permits that are free if nobody waits: without `QUEUED` nothing more is to be looked
    /// at.
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

    /// Takes so many if they are free and nobody waits.
    pub(crate) fn try_take(&self, n: usize) -> Result<(), AcquireError> {
        if self.take_free(n) || n == 0 && !self.is_closed() {
            return Ok(());
        }
        polled_in_vain();
        Err(if self.is_closed() {
            AcquireError::Closed
        } else {
            AcquireError::NoPermits
        })
    }

    /// Takes so many when it is the caller's turn. `wait` receives from a channel that has a
    /// message when they have been taken, and is closed when they never will be.
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
        match wait(&granted) {
            Ok(()) => Ok(()),
            Err(AcquireError::Closed) => Err(AcquireError::Closed),
            Err(error) => self.give_up(number, n, &granted, error),
        }
    }

    /// `None`: there were enough after all.
    fn enqueue(&self, n: usize) -> Result<Option<(u64, Receiver<()>)>, AcquireError> {
        let (told, granted) = bounded(1);
        let mut queue = self.lock();
        if queue.closed {
            drop(queue);
            polled_in_vain();
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

    /// Under the lock, and nobody waits: takes permits, or says that somebody waits from now on.
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

    /// A wait has ended without permits, unless they have come meanwhile.
    fn give_up(
        &self,
        number: u64,
        n: usize,
        granted: &Receiver<()>,
        error: AcquireError,
    ) -> Result<(), AcquireError> {
        let mut queue = self.lock();
        if queue.waiting.remove(&number).is_some() {
            // Those behind it may want fewer.
            let next = self.serve(&mut queue);
            drop(queue);
            tell(next);
            return Err(error);
        }
        drop(queue);
        // Whoever took it out of the queue tells it so, or closes its channel.
        match (granted.recv(), error) {
            (Err(_), _) => Err(AcquireError::Closed),
            // As in Go, who has been told to end gets nothing.
            (Ok(()), AcquireError::Canceled) => {
                self.give_back(n);
                Err(error)
            }
            (Ok(()), _) => Ok(()),
        }
    }

    /// So many come back. (There is nothing that could be done about more than there can be.)
    pub(crate) fn give_back(&self, n: usize) {
        self.give(n, |free, n| Some(free.saturating_add(n).min(MAX)));
    }

    /// `add` says how many are free then. `false`: so many there cannot be.
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

    /// Under the lock: takes permits for those whose turn it is.
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
            // Nobody else changes the number.
            let waits = queue.closed || !queue.waiting.is_empty();
            let permits = (free * ONE) | usize::from(waits);
            self.permits.store(permits, Ordering::Release);
        }
        granted
    }
}

fn tell(granted: Granted) {
    for waiting in granted {
        // It waits for this, or is about to: the channel has room and a receiver. Should it have
        // been given up, it asks.
        let _ = waiting.granted.send(());
    }
}
