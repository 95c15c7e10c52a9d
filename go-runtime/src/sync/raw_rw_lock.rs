//! The lock of an [`RwLock`](super::RwLock), without what it guards.
//!
//! It works as Go's does. Writers keep each other out by a [`RawMutex`]. Who has that one is *the*
//! writer: it announces itself (`WRITER`), which keeps out whoever comes to read from then on, and
//! waits for those who are in. When it is done it lets in all who have come to read meanwhile,
//! before it makes way for the next writer. So readers wait for one writer at most, and a writer
//! for those readers only who were there before it: neither side starves.
//!
//! **Readers** are counted before they know whether they are in, so `readers` is how many are in or
//! wait to be. One who finds `WRITER` set comes to the gate. The writer that goes gives as many
//! turns as were counted at its last step, to those who are at the gate and to those who are still
//! on their way there, for whom `balance` keeps them. A turn is anybody's: one who is on its way
//! and is overtaken by one who has come later gets that one's.
//!
//! **The writer** adds to `leaving` how many it has found in. Each who goes while `WRITER` is set
//! takes one away, be that before or after, and the one that leaves `AWAITED` alone wakes the
//! writer, which takes that away, in one step: then it has the lock.
//!
//! No turn is lost: when the writer goes, `readers` are all outside, and each of them takes one
//! turn. No other turns are left from before, for each writer waits for as many to go as turns were
//! given. And the next one cannot announce itself before this one's turns are all at the gate.
//!
//! **A goroutine that unwinds** does not queue (see
//! [`wait_without_queueing`](RawRwLock::wait_without_queueing)).
//!
//! A lock has no owner: it may be unlocked anywhere, by whoever has got what locking it gave.

use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::raw_mutex::RawMutex;
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::const_fn;
use crate::wait::{self, Decision, WaitList};

/// There is a writer: it is in, or waits for readers to go.
const WRITER: usize = 1 << (usize::BITS - 1);
/// So many readers may be in. Far enough from the next bit: those who are refused are counted for a
/// moment.
const MOST: usize = 1 << (usize::BITS - 3);

/// In `leaving`: the writer waits, and has not got the lock.
const AWAITED: usize = 1;
/// In `leaving`: one who has to go first.
const ONE: usize = 2;

// In this order, as what lies behind it may share a cache line with `readers`.
#[repr(C)]
pub(crate) struct RawRwLock {
    gate: WaitList<Gate>,
    /// The writer's. Its `flag` is for whoever builds on this lock.
    pub(super) writers: RawMutex,
    leaving: AtomicUsize,
    pub(super) readers: AtomicUsize,
}

/// Where the goroutines wait that cannot go in: readers, and in front of them the writer.
struct Gate {
    /// Turns that no reader has taken yet; below 0: how many readers are in the queue.
    balance: isize,
    /// Whether the first in the queue is the writer.
    writer_waits: bool,
}

// No user's code runs in here, and the one panic leaves all as it was.
impl UnwindSafe for RawRwLock {}
impl RefUnwindSafe for RawRwLock {}

impl Gate {
    /// For a reader: whether there is a turn for it. It takes it.
    fn take_turn(&mut self) -> bool {
        let there_is = self.balance > 0;
        self.balance -= isize::from(there_is);
        there_is
    }
}

impl RawRwLock {
    const_fn! {
        pub(crate) fn new() -> RawRwLock {
            RawRwLock {
                gate: WaitList::new(Gate {
                    balance: 0,
                    writer_waits: false,
                }),
                writers: RawMutex::new(),
                leaving: AtomicUsize::new(0),
                readers: AtomicUsize::new(0),
            }
        }
    }

    /// Returns once the caller is a reader.
    ///
    /// # Panics
    /// If there are too many.
    #[inline]
    #[track_caller]
    pub(crate) fn read(&self) {
        let before = self.readers.fetch_add(1, Ordering::Acquire);
        if before >= MOST {
            self.read_contended(before);
        }
    }

    /// `true`: the caller is a reader.
    #[inline]
    pub(crate) fn try_read(&self) -> bool {
        let mut readers = self.readers.load(Ordering::Relaxed);
        while readers < MOST {
            let counted = self.readers.compare_exchange_weak(
                readers,
                readers + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match counted {
                Ok(_) => return true,
                Err(now) => readers = now,
            }
        }
        false
    }

    /// The caller goes.
    ///
    /// # Safety
    /// It is a reader, and ends every use of what the lock guards before this call.
    #[inline]
    pub(crate) unsafe fn done_reading(&self) {
        if self.readers.fetch_sub(1, Ordering::Release) & WRITER != 0 {
            self.leave();
        }
    }

    /// Returns once the lock is the caller's alone.
    #[inline]
    pub(crate) fn write(&self) {
        self.writers.lock();
        let inside = self.readers.fetch_add(WRITER, Ordering::AcqRel);
        if inside != 0 {
            self.wait_for_readers(inside);
        }
    }

    /// `true`: the lock is the caller's alone.
    #[inline]
    pub(crate) fn try_write(&self) -> bool {
        if self.readers.load(Ordering::Relaxed) != 0 || !self.writers.try_lock() {
            return false;
        }
        let announced =
            self.readers
                .compare_exchange(0, WRITER, Ordering::AcqRel, Ordering::Relaxed);
        if announced.is_err() {
            // SAFETY: locked above, for nothing.
            unsafe { self.writers.unlock() };
        }
        announced.is_ok()
    }

    /// Gives the lock back.
    ///
    /// # Safety
    /// The lock is the caller's alone, who ends every use of what it guards before this call.
    #[inline]
    pub(crate) unsafe fn done_writing(&self) {
        // SAFETY: passed on.
        unsafe { self.make_way(WRITER) };
    }

    /// The writer becomes a reader, and nobody writes in between.
    ///
    /// # Safety
    /// The lock is the caller's alone, who from this call on only reads what it guards.
    #[inline]
    pub(crate) unsafe fn downgrade(&self) {
        // SAFETY: passed on.
        unsafe { self.make_way(WRITER - 1) };
    }

    /// First for the readers who wait, then for the next writer.
    ///
    /// # Safety
    /// As for [`done_writing`](Self::done_writing) or [`downgrade`](Self::downgrade). `less` is
    /// what the caller is worth in `readers`.
    #[inline]
    unsafe fn make_way(&self, less: usize) {
        let waiting = self.readers.fetch_sub(less, Ordering::AcqRel) & !WRITER;
        if waiting != 0 {
            self.let_in(waiting);
        }
        // SAFETY: the writer has had it since `write` or `try_write`.
        unsafe { self.writers.unlock() };
    }

    #[cold]
    #[track_caller]
    fn read_contended(&self, before: usize) {
        if before & WRITER != 0 {
            self.wait_for_turn();
        }
        if before & !WRITER >= MOST {
            // SAFETY: it is a reader, and has used nothing.
            unsafe { self.done_reading() };
            panic!("RwLock: too many readers at once; are their guards ever dropped?");
        }
    }

    fn wait_for_turn(&self) {
        if !wait::may_switch() {
            self.wait_without_queueing();
            return;
        }
        self.gate.wait(|gate| {
            if gate.take_turn() {
                return Decision::Go(());
            }
            gate.balance -= 1;
            Decision::Wait
        });
    }

    /// For a goroutine that is unwinding, and has been counted. As long as it waits nothing else
    /// runs on its thread, where the writer may be that others wait for: parked until readers go,
    /// or just woken. So it goes in before a writer that has not got the lock yet, and has that one
    /// wait for it too.
    #[cold]
    fn wait_without_queueing(&self) {
        while !self
            .gate
            .with(|gate| gate.take_turn() || self.go_before_writer())
        {
            wait::doze();
        }
    }

    /// Under the lock of the gate, where no turn is: so no turn of one that wrote before this
    /// writer is still to come.
    fn go_before_writer(&self) -> bool {
        let one_more = |leaving: usize| (leaving & AWAITED != 0).then(|| leaving + ONE);
        self.leaving
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more)
            .is_ok()
    }

    /// For the writer, which has found so many in.
    #[cold]
    fn wait_for_readers(&self, inside: usize) {
        self.leaving
            .fetch_add(inside * ONE + AWAITED, Ordering::AcqRel);
        let all_gone = || {
            self.leaving
                .compare_exchange(AWAITED, 0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        while !all_gone() {
            self.gate.wait(|gate| {
                // Under the lock: the reader that leaves last after this look finds the writer.
                if self.leaving.load(Ordering::Relaxed) == AWAITED {
                    return Decision::Go(());
                }
                gate.writer_waits = true;
                Decision::WaitInFront
            });
        }
    }

    /// A reader goes that the writer waits for, or will.
    #[cold]
    fn leave(&self) {
        if self.leaving.fetch_sub(ONE, Ordering::AcqRel) != ONE + AWAITED {
            return;
        }
        let writer = self.gate.with(|gate| {
            let waits = mem::take(&mut gate.writer_waits);
            waits.then(|| gate.take()).flatten()
        });
        // (This may be the next writer, if the awaited one has not needed to be woken. Then the
        // next one polls once in vain.)
        if let Some(writer) = writer {
            writer.finish();
        }
    }

    /// Gives as many turns as readers wait.
    #[cold]
    fn let_in(&self, waiting: usize) {
        // The caller is the writer, and so no writer is in the queue.
        let at_gate = self.gate.with(|gate| {
            // The readers in the queue are some of these. (The number is far below what an `isize`
            // can say.)
            gate.balance += waiting as isize;
            gate.take_all()
        });
        at_gate.finish();
    }
}
