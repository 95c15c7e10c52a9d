//! The lock of `RwLock`: readers and writers exclude each other, and no waiter waits for ever.
//!
//! The writers' own lock is a stand-in here; `mutexes` checks the real one.

#[path = "../../../go-runtime/src/sync/raw_rw_lock.rs"]
mod raw_rw_lock;

/// A stand-in on loom's mutex, which is locked in one function and unlocked in another.
pub(crate) mod raw_mutex {
    use std::cell::RefCell;

    use loom::sync::{Mutex, MutexGuard};

    use super::owner::Owner;
    use crate::primitives::atomic::AtomicBool;
    use crate::wait::WaitReason;

    pub(crate) struct RawMutex {
        // Declared first, so that the guard is dropped before its mutex.
        held: RefCell<Option<MutexGuard<'static, ()>>>,
        mutex: Box<Mutex<()>>,
        pub(super) flag: AtomicBool,
        pub(super) owner: Owner,
    }

    impl RawMutex {
        pub(crate) fn new() -> RawMutex {
            RawMutex {
                held: RefCell::new(None),
                mutex: Box::new(Mutex::new(())),
                flag: AtomicBool::new(false),
                owner: Owner::none(),
            }
        }

        fn hold(&self, guard: MutexGuard<'_, ()>) {
            // SAFETY: the guard borrows the boxed mutex beside it, which is neither moved nor
            // dropped before the guard, because `held` is declared first.
            let guard = unsafe {
                std::mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard)
            };
            *self.held.borrow_mut() = Some(guard);
        }

        pub(crate) fn lock_for(&self, _: WaitReason) {
            self.lock();
        }

        pub(crate) fn lock(&self) {
            self.hold(self.mutex.lock().unwrap());
        }

        pub(crate) fn try_lock(&self) -> bool {
            let guard = self.mutex.try_lock().ok();
            guard.map(|guard| self.hold(guard)).is_some()
        }

        pub(crate) unsafe fn unlock(&self) {
            let guard = self.held.borrow_mut().take();
            drop(guard);
        }
    }
}

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use self::raw_rw_lock::RawRwLock;
use crate::mutexes::owner;
use crate::{check, goroutine};

/// A number behind the lock; loom reports accesses to it that are not ordered.
struct Counter {
    lock: RawRwLock,
    count: UnsafeCell<usize>,
}

// SAFETY: threads share it by reference, and access its cell only under its lock. (loom reports
// accesses that are not ordered.)
unsafe impl Send for Counter {}
// SAFETY: threads share it by reference, and access its cell only under its lock. (loom reports
// accesses that are not ordered.)
unsafe impl Sync for Counter {}

/// What a thread does with the lock.
#[derive(Clone, Copy)]
enum Does {
    Read,
    Write,
    /// Writes, downgrades, and reads what this thread wrote.
    Downgrade,
    TryRead,
    TryWrite,
    /// Reads while the thread is unwinding.
    Unwind,
}

use Does::{Downgrade, Read, TryRead, TryWrite, Unwind, Write};

impl Counter {
    fn new() -> Arc<Counter> {
        Arc::new(Counter {
            lock: RawRwLock::new(),
            count: UnsafeCell::new(0),
        })
    }

    fn get(&self) -> usize {
        // SAFETY: the caller has locked, for reading at least. (loom checks that no write is
        // unordered.)
        self.count.with(|count| unsafe { *count })
    }

    fn count_up(&self) {
        // SAFETY: the caller has locked for writing. (loom checks that no other access is
        // unordered.)
        self.count.with_mut(|count| unsafe { *count += 1 });
    }

    /// Performs the operation, and returns how often it has counted up.
    fn run(&self, does: Does) -> usize {
        let lock = &self.lock;
        match does {
            Read | Unwind => {
                lock.read();
                self.get();
                // SAFETY: this thread has locked for reading.
                unsafe { lock.done_reading() };
                0
            }
            TryRead => {
                if lock.try_read() {
                    self.get();
                    // SAFETY: this thread has locked for reading.
                    unsafe { lock.done_reading() };
                }
                0
            }
            Write => {
                lock.write();
                self.count_up();
                // SAFETY: this thread has locked for writing.
                unsafe { lock.done_writing() };
                1
            }
            TryWrite => {
                let locked = lock.try_write();
                if locked {
                    self.count_up();
                    // SAFETY: this thread has locked for writing.
                    unsafe { lock.done_writing() };
                }
                usize::from(locked)
            }
            Downgrade => {
                lock.write();
                self.count_up();
                let count = self.get();
                // SAFETY: this thread has locked for writing.
                unsafe { lock.downgrade() };
                assert_eq!(self.get(), count, "another thread has written in between");
                // SAFETY: this thread has locked for reading.
                unsafe { lock.done_reading() };
                1
            }
        }
    }

    fn run_all(&self, all: &[Does]) -> usize {
        if all.iter().any(|does| matches!(does, Unwind)) {
            crate::wait::unwind();
        }
        all.iter().map(|does| self.run(*does)).sum()
    }

    /// Checks, after all threads have unlocked, that the lock is free and that the count is right.
    fn ended(&self, count: usize) {
        assert!(self.lock.try_write());
        assert_eq!(self.get(), count);
        // SAFETY: this thread has locked for writing.
        unsafe { self.lock.done_writing() };
        self.run_all(&[Read, Write, Read]);
    }
}

/// Performs `here` on the test's own thread, and each of `others` on a new thread.
fn race<const N: usize>(
    name: &str,
    preemptions: usize,
    here: &'static [Does],
    others: [&'static [Does]; N],
) {
    check(&format!("rw lock, {name}"), preemptions, move || {
        let counter = Counter::new();
        let threads = others.map(|does| {
            let there = counter.clone();
            thread::spawn(move || there.run_all(does))
        });
        let mut count = counter.run_all(here);
        for thread in threads {
            count += thread.join().unwrap();
        }
        counter.ended(count);
    });
}

#[test]
fn readers_and_writers_keep_each_other_out() {
    race("a reader and a writer", 4, &[Read], [&[Write]]);
    race("two readers and a writer", 3, &[Read], [&[Read], &[Write]]);
    race("a reader and two writers", 3, &[Write], [&[Read], &[Write]]);
}

/// A second round starts from the state in which the first round left the lock.
#[test]
fn round_after_round() {
    race(
        "two of three",
        3,
        &[Read, Read, Read],
        [&[Write, Write, Write]],
    );
    race("writing and reading", 3, &[Write, Read], [&[Read, Write]]);
    race(
        "three of two",
        2,
        &[Write, Write],
        [&[Read, Read], &[Read, Read]],
    );
    race(
        "two writers of two",
        2,
        &[Write, Write],
        [&[Read, Read], &[Write]],
    );
}

#[test]
fn a_writer_becomes_a_reader() {
    race("downgrade, a writer", 3, &[Downgrade], [&[Write]]);
    race(
        "downgrade, a reader and a writer",
        2,
        &[Downgrade],
        [&[Read], &[Write]],
    );
    race(
        "downgrade, twice",
        2,
        &[Downgrade, Downgrade],
        [&[Downgrade, Read]],
    );
}

#[test]
fn trying_neither_waits_nor_breaks_in() {
    race("trying to read", 3, &[TryRead, TryRead], [&[Write, Read]]);
    race(
        "trying to write",
        3,
        &[TryWrite, TryWrite],
        [&[Write, Read]],
    );
    race("trying both", 2, &[TryWrite], [&[TryRead, Write], &[Read]]);
}

/// A reader that is unwinding enters before a waiting writer, which then waits for this reader too.
#[test]
fn who_unwinds_reads_before_a_writer_that_waits() {
    race(
        "unwinding, a reader, a writer",
        3,
        &[Write],
        [&[Read], &[Unwind]],
    );
    race(
        "unwinding, two rounds",
        5,
        &[Write, Write],
        [&[Unwind, Unwind]],
    );
    race("unwinding, two writers", 3, &[Write], [&[Write], &[Unwind]]);
    race(
        "unwinding, among all",
        2,
        &[Write, Write],
        [&[Read, Read], &[Unwind, Unwind]],
    );
}
