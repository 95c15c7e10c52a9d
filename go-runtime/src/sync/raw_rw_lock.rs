//! The lock of an [`RwLock`](super::RwLock), without the value that it guards.
//!
//! This module owns the count of readers, the count that a writer waits for (`leaving`), and the
//! queue of readers and of the writer (`gate`). The policy is that of Go's `sync.RWMutex`. Writers
//! exclude each other by a [`RawMutex`], `writers`; its holder is *the writer*. The writer
//! announces itself (`WRITER`), which keeps out every reader that comes from then on, and waits for
//! the readers that are inside. When the writer is done, it lets in all readers that came
//! meanwhile, before it unlocks `writers` for the next writer. So a reader waits for at most one
//! writer, and a writer only for the readers that came before it: neither side starves.
//!
//! **Readers** are counted before they know whether they are inside, so `readers` is the number of
//! readers that are inside or wait. A reader that finds `WRITER` set comes to the gate. The
//! departing writer grants as many *turns* as readers were counted at its last step: to the readers
//! queued at the gate, and to those still on their way there, for which `balance` keeps the turns.
//! A turn is not bound to one reader: a reader that is overtaken on its way to the gate takes the
//! turn of the reader that overtook it.
//!
//! **The writer** adds to `leaving` the number of readers that it found inside. Each reader that
//! leaves while `WRITER` is set subtracts one, before or after that addition. The reader whose
//! subtraction leaves only `AWAITED` wakes the writer. The writer removes `AWAITED` in one step,
//! and has the lock then.
//!
//! **No turn is lost.** When the writer leaves, all counted readers are outside, and each of them
//! takes one turn. No turn of an earlier writer is left over, because each writer waits until as
//! many readers have left as turns were granted. The next writer cannot announce itself before this
//! writer has granted all its turns.
//!
//! **A goroutine that unwinds** does not queue (see
//! [`wait_without_queueing`](RawRwLock::wait_without_queueing)).
//!
//! A lock has no owner: its holder may hand it on, and any thread may unlock it.

use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::raw_mutex::RawMutex;
use crate::clock;
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::const_fn;
use crate::wait::{self, Decision, WaitList, WaitReason, Why};

/// Bit of `readers`: there is a writer, which is inside or waits for readers to leave.
const WRITER: usize = 1 << (usize::BITS - 1);
/// Maximum number of readers. It is far below the next bit, because readers that are refused are
/// counted for a moment.
const MOST: usize = 1 << (usize::BITS - 3);

/// Bit of `leaving`: the writer waits, and does not have the lock yet.
const AWAITED: usize = 1;
/// Unit of `leaving`: one reader that has to leave before the writer gets the lock.
const ONE: usize = 2;

// `readers` is the last field, so that data behind the struct may share a cache line with it.
#[repr(C)]
pub(crate) struct RawRwLock {
    gate: WaitList<Gate>,
    /// Held by the writer. Its `flag` is for the type that builds on this lock.
    pub(super) writers: RawMutex,
    leaving: AtomicUsize,
    pub(super) readers: AtomicUsize,
}

/// The state of the queue of goroutines and threads that wait for the lock: readers, and in front
/// of them the writer. Used under the lock of the queue.
struct Gate {
    /// Number of turns that no reader has taken yet; if negative, the number of readers in the
    /// queue.
    balance: isize,
    /// Whether the first in the queue is the writer.
    writer_waits: bool,
}

// Unwind-safe: no user code runs in this lock's methods, and their one panic leaves the lock
// unchanged.
impl UnwindSafe for RawRwLock {}
impl RefUnwindSafe for RawRwLock {}

impl Gate {
    /// Takes a turn for a reader, if a turn is left. Returns whether a turn was left.
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

    /// Makes the caller a reader, and waits for the writer if need be.
    ///
    /// # Panics
    /// If there are too many readers.
    #[inline]
    #[track_caller]
    pub(crate) fn read(&self) {
        let before = self.readers.fetch_add(1, Ordering::Acquire);
        if before >= MOST {
            self.read_contended(before);
        }
    }

    /// Makes the caller a reader if there is no writer and there are not too many readers. Returns
    /// whether the caller is a reader now.
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

    /// Ends the caller's reading.
    ///
    /// # Safety
    /// The caller is a reader, and has ended every use of what the lock guards.
    #[inline]
    pub(crate) unsafe fn done_reading(&self) {
        if self.readers.fetch_sub(1, Ordering::Release) & WRITER != 0 {
            self.leave();
        }
    }

    /// Makes the caller the writer, and waits for other writers and for readers if need be.
    #[inline]
    #[track_caller]
    pub(crate) fn write(&self) {
        self.writers.lock_for(WaitReason::RwLockWrite);
        let inside = self.readers.fetch_add(WRITER, Ordering::AcqRel);
        if inside != 0 {
            self.wait_for_readers(inside);
        }
    }

    /// Makes the caller the writer if there is no other writer and no reader. Returns whether the
    /// caller is the writer now.
    #[inline]
    pub(crate) fn try_write(&self) -> bool {
        if self.readers.load(Ordering::Relaxed) != 0 || !self.writers.try_lock() {
            return false;
        }
        let announced =
            self.readers
                .compare_exchange(0, WRITER, Ordering::AcqRel, Ordering::Relaxed);
        if announced.is_err() {
            // SAFETY: `try_lock` has just locked `writers` for the caller, which has used nothing
            // that the lock guards, as it did not become the writer.
            unsafe { self.writers.unlock() };
        }
        announced.is_ok()
    }

    /// Ends the caller's writing.
    ///
    /// # Safety
    /// The caller is the writer, and has ended every use of what the lock guards.
    #[inline]
    pub(crate) unsafe fn done_writing(&self) {
        // SAFETY: the caller is the writer and has ended every use of what the lock guards.
        // Subtracting `WRITER` leaves it uncounted.
        unsafe { self.make_way(WRITER) };
    }

    /// Makes a reader of the writer; no other thread or goroutine writes in between.
    ///
    /// # Safety
    /// The caller is the writer, and from this call on only reads what the lock guards.
    #[inline]
    pub(crate) unsafe fn downgrade(&self) {
        // SAFETY: the caller is the writer and only reads from now on. Subtracting `WRITER - 1`
        // leaves it counted as one reader.
        unsafe { self.make_way(WRITER - 1) };
    }

    /// Ends the writer's exclusive access: lets in the readers that wait, then makes way for the
    /// next writer.
    ///
    /// # Safety
    /// The caller is the writer. If `less` is `WRITER`, the caller has ended every use of what the
    /// lock guards; if `less` is `WRITER - 1`, the caller becomes a reader, and from now on only
    /// reads what the lock guards. `less` has no other value.
    #[inline]
    unsafe fn make_way(&self, less: usize) {
        let waiting = self.readers.fetch_sub(less, Ordering::AcqRel) & !WRITER;
        if waiting != 0 {
            self.let_in(waiting);
        }
        // SAFETY: the caller is the writer, which has held `writers` since `write` or `try_write`.
        // `writers` guards the right to be the writer, which the caller has just given up.
        unsafe { self.writers.unlock() };
    }

    #[cold]
    #[track_caller]
    fn read_contended(&self, before: usize) {
        if before & WRITER != 0 {
            self.wait_for_turn();
        }
        if before & !WRITER >= MOST {
            // SAFETY: the caller is counted and, if there was a writer, was let in, so it is a
            // reader; and it has used nothing that the lock guards.
            unsafe { self.done_reading() };
            panic!("RwLock: too many readers at once; are their guards ever dropped?");
        }
    }

    #[track_caller]
    fn wait_for_turn(&self) {
        self.writers.owner.tell_if_caller(WaitReason::RwLockRead);
        if !wait::may_switch() {
            self.wait_without_queueing();
            return;
        }
        let since = clock::now();
        self.gate.wait(WaitReason::RwLockRead, |gate| {
            if gate.take_turn() {
                return Decision::Go(());
            }
            gate.balance -= 1;
            Decision::Wait
        });
        wait::note_lock_wait(clock::now() - since);
    }

    /// Waits for a turn without queueing, for a counted reader that may not switch, such as a
    /// goroutine that is unwinding.
    ///
    /// No other goroutine runs on the thread while that reader waits, and the writer may be one of
    /// them: parked until readers leave, or just woken. So the reader goes in before a writer that
    /// does not have the lock yet, and makes that writer wait for it, too.
    #[cold]
    fn wait_without_queueing(&self) {
        let since = clock::now();
        while !self
            .gate
            .with(|gate| gate.take_turn() || self.go_before_writer())
        {
            wait::sleep_briefly(Why::new(WaitReason::RwLockRead, &raw const self.gate));
        }
        wait::note_lock_wait(clock::now() - since);
    }

    /// Lets the caller, a counted reader, in before a writer that still waits for readers. Returns
    /// whether there was such a writer.
    ///
    /// The caller holds the lock of the gate and has found no turn there, so no turn granted by a
    /// writer before this one is still to come.
    fn go_before_writer(&self) -> bool {
        let one_more = |leaving: usize| (leaving & AWAITED != 0).then(|| leaving + ONE);
        self.leaving
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more)
            .is_ok()
    }

    /// Waits until the `inside` readers that the caller, the writer, found inside have left.
    #[cold]
    fn wait_for_readers(&self, inside: usize) {
        self.leaving
            .fetch_add(inside * ONE + AWAITED, Ordering::AcqRel);
        let all_gone = || {
            self.leaving
                .compare_exchange(AWAITED, 0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        if all_gone() {
            return;
        }
        let since = clock::now();
        // Which goroutines are inside is not known.
        let why = Why::new(WaitReason::RwLockWrite, &raw const self.gate).open();
        while !all_gone() {
            wait::named(why, || {
                self.gate.wait(WaitReason::RwLockWrite, |gate| {
                    // This check is made under the lock of the gate, so a reader that is the last
                    // to leave after the check finds the writer in the queue.
                    if self.leaving.load(Ordering::Relaxed) == AWAITED {
                        return Decision::Go(());
                    }
                    gate.writer_waits = true;
                    Decision::WaitInFront
                })
            });
        }
        wait::note_lock_wait(clock::now() - since);
    }

    /// Subtracts a leaving reader, for which the writer waits or will wait. Wakes the writer if
    /// that reader was the last.
    #[cold]
    fn leave(&self) {
        if self.leaving.fetch_sub(ONE, Ordering::AcqRel) != ONE + AWAITED {
            return;
        }
        let writer = self.gate.with(|gate| {
            let waits = mem::take(&mut gate.writer_waits);
            waits.then(|| gate.take()).flatten()
        });
        // (If the awaited writer went in without being woken, this may be the next writer, which
        // then polls once in vain.)
        if let Some(writer) = writer {
            writer.finish();
        }
    }

    /// Grants a turn to each of the `waiting` readers, and wakes those that are in the queue.
    #[cold]
    fn let_in(&self, waiting: usize) {
        // The caller is the writer, so no writer is in the queue.
        let at_gate = self.gate.with(|gate| {
            // The readers in the queue are among the `waiting` ones. (`waiting` is far below
            // `isize::MAX`.)
            gate.balance += waiting as isize;
            gate.take_all()
        });
        at_gate.finish();
    }
}
