//! The lock of `Mutex`: one thread at a time holds it, and no waiter waits for ever.
//!
//! Time stands still in a model. So the `Mode` of each model determines whether a waiter that was
//! woken in vain starves at once or never, whether a woken waiter is late, and whether a thread
//! polls the lock before it queues.

#[path = "../../../go-runtime/src/sync/raw_mutex/mod.rs"]
mod raw_mutex;

mod lateness {
    pub(super) struct LatenessTimer;

    impl LatenessTimer {
        pub(super) fn new() -> LatenessTimer {
            LatenessTimer
        }

        pub(super) fn start(&self) {}

        pub(super) fn waiter_is_late(&self) -> bool {
            super::IS_LATE.get()
        }
    }
}

/// No model locks what it has locked.
pub(crate) mod owner {
    use crate::wait::WaitReason;

    pub(crate) struct Owner;

    impl Owner {
        pub(crate) fn none() -> Owner {
            Owner
        }

        pub(crate) fn set(&self) {}

        pub(crate) fn clear(&self) {}

        pub(crate) fn tell_if_caller(&self, _: WaitReason) {}
    }
}

use std::cell::Cell;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use self::raw_mutex::RawMutex;
use crate::check;

// Plain thread-locals, because loom runs all threads of a model on the test's own.
thread_local! {
    pub(crate) static SPINS: Cell<bool> = const { Cell::new(false) };
    pub(crate) static NEVER_STARVES: Cell<bool> = const { Cell::new(false) };
    static IS_LATE: Cell<bool> = const { Cell::new(false) };
}

/// A number behind the lock; loom reports accesses to it that are not ordered.
struct Counter {
    lock: RawMutex,
    count: UnsafeCell<usize>,
}

// SAFETY: threads share it by reference, and access its cell only under its lock. (loom reports
// accesses that are not ordered.)
unsafe impl Send for Counter {}
// SAFETY: threads share it by reference, and access its cell only under its lock. (loom reports
// accesses that are not ordered.)
unsafe impl Sync for Counter {}

impl Counter {
    fn new() -> Arc<Counter> {
        Arc::new(Counter {
            lock: RawMutex::new(),
            count: UnsafeCell::new(0),
        })
    }

    fn add(&self) {
        self.lock.lock();
        self.count_up();
    }

    fn try_add(&self) -> bool {
        let locked = self.lock.try_lock();
        if locked {
            self.count_up();
        }
        locked
    }

    fn count_up(&self) {
        // SAFETY: the caller holds the lock, so no other thread is in the cell. (loom checks that.)
        self.count.with_mut(|count| unsafe { *count += 1 });
        // SAFETY: the caller has locked, and does not use the cell any more.
        unsafe { self.lock.unlock() };
    }

    /// Checks, after all threads have unlocked, that the lock is free and that the count is right.
    fn ended(&self, count: usize) {
        self.add();
        self.add();
        // SAFETY: the other threads have ended their accesses, and `add` has synchronized with
        // them. (loom checks that.)
        assert_eq!(self.count.with(|count| unsafe { *count }), count + 2);
    }
}

#[derive(Clone, Copy, Debug)]
struct Mode {
    never_starves: bool,
    late: bool,
    spins: bool,
}

impl Mode {
    fn all() -> impl Iterator<Item = Mode> {
        let both = [false, true];
        let modes = both.map(|never_starves| {
            both.map(|late| {
                both.map(|spins| Mode {
                    never_starves,
                    late,
                    spins,
                })
            })
        });
        modes.into_iter().flatten().flatten()
    }

    fn set(self) {
        NEVER_STARVES.set(self.never_starves);
        IS_LATE.set(self.late);
        SPINS.set(self.spins);
    }
}

/// Lets `others` threads and the test's own lock `times` each.
fn race(name: &str, preemptions: usize, others: usize, times: usize, mode: Mode) {
    mode.set();
    check(&format!("{name}, {mode:?}"), preemptions, move || {
        let counter = Counter::new();
        let threads: Vec<_> = (0..others)
            .map(|_| {
                let there = counter.clone();
                thread::spawn(move || (0..times).for_each(|_| there.add()))
            })
            .collect();
        (0..times).for_each(|_| counter.add());
        threads.into_iter().for_each(|t| t.join().unwrap());
        counter.ended((others + 1) * times);
    });
}

#[test]
fn two_lock_again_and_again() {
    for mode in Mode::all() {
        race("mutex, two of two", 3, 1, 2, mode);
        race("mutex, two of three", 2, 1, 3, mode);
    }
}

/// One thread waits, one has been woken, and one arrives.
#[test]
fn three_lock_at_once() {
    for mode in Mode::all() {
        race("mutex, three of one", 2, 2, 1, mode);
    }
}

/// A starving waiter returns to the front of the queue, and the next unlock hands it the lock.
#[test]
#[ignore = "a minute: MODEL_MORE=0 cargo test --release -p go-tests-model -- \
            --include-ignored"]
fn three_lock_again_and_again() {
    for mode in Mode::all().filter(|mode| mode.never_starves != mode.late && !mode.spins) {
        race("mutex, three of two", 1, 2, 2, mode);
    }
}

/// `try_lock` may take the free lock before a waiter does, but never waits and never enters while
/// the lock is held.
#[test]
fn trying_neither_waits_nor_breaks_in() {
    for mode in Mode::all().filter(|mode| !mode.spins) {
        mode.set();
        check(
            &format!("mutex, two that lock and one that tries, {mode:?}"),
            2,
            || {
                let counter = Counter::new();
                let there = counter.clone();
                let trying = thread::spawn(move || usize::from(there.try_add()));
                let there = counter.clone();
                let waiting = thread::spawn(move || there.add());
                counter.add();
                let tried = trying.join().unwrap();
                waiting.join().unwrap();
                counter.ended(2 + tried);
            },
        );
    }
}
