//! The queue of `Condvar`: no notification is lost.
//!
//! The mutex is a stand-in here; `mutexes` checks the real one.

#[path = "../../../go-runtime/src/sync/raw_condvar.rs"]
mod raw_condvar;

use std::time::Instant;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use self::raw_condvar::RawCondvar;
use self::raw_mutex::RawMutex;
use crate::rw_locks::raw_mutex;
use crate::{check, clock};

/// A number, with a condition variable for its changes.
struct Shared {
    mutex: RawMutex,
    changed: RawCondvar,
    number: UnsafeCell<usize>,
}

// SAFETY: threads share it by reference, and access its cell only under its lock. (loom reports
// accesses that are not ordered.)
unsafe impl Send for Shared {}
// SAFETY: threads share it by reference, and access its cell only under its lock. (loom reports
// accesses that are not ordered.)
unsafe impl Sync for Shared {}

impl Shared {
    fn new() -> Arc<Shared> {
        Arc::new(Shared {
            mutex: RawMutex::new(),
            changed: RawCondvar::new(),
            number: UnsafeCell::new(0),
        })
    }

    fn locked<R>(&self, f: impl FnOnce() -> R) -> R {
        self.mutex.lock();
        let result = f();
        // SAFETY: this thread locked the mutex above.
        unsafe { self.mutex.unlock() };
        result
    }

    fn get(&self) -> usize {
        // SAFETY: the caller holds the lock, so no other thread is in the cell. (loom checks that.)
        self.number.with(|number| unsafe { *number })
    }

    fn set(&self, number: usize) {
        // SAFETY: the caller holds the lock, so no other thread is in the cell. (loom checks that.)
        self.number.with_mut(|place| unsafe { *place = number });
    }

    fn wait(&self, deadline: Option<Instant>) -> bool {
        // SAFETY: the callers hold the mutex.
        unsafe { self.changed.wait(&self.mutex, deadline) }
    }

    fn wait_for(&self, number: usize) {
        self.locked(|| {
            while self.get() != number {
                assert!(self.wait(None), "there is no deadline");
            }
        });
    }
}

/// A notification also counts if it comes after the waiter has unlocked the mutex, but before the
/// waiter is parked.
#[test]
fn no_notification_is_lost() {
    check("condvar, one waits and one notifies", 4, || {
        let shared = Shared::new();
        let there = shared.clone();
        let notifies = thread::spawn(move || {
            there.locked(|| there.set(1));
            there.changed.notify_one();
        });
        shared.wait_for(1);
        notifies.join().unwrap();
    });
}

#[test]
fn two_take_turns() {
    check("condvar, two take turns", 3, || {
        let shared = Shared::new();
        let there = shared.clone();
        let other = thread::spawn(move || {
            there.wait_for(1);
            there.locked(|| {
                there.set(2);
                there.changed.notify_one();
            });
            there.wait_for(3);
        });
        shared.locked(|| shared.set(1));
        shared.changed.notify_one();
        shared.wait_for(2);
        shared.locked(|| shared.set(3));
        shared.changed.notify_one();
        other.join().unwrap();
    });
}

/// A notification is never lost to a waiter whose deadline passes: either that waiter reports it,
/// or the other waiter gets it.
#[test]
fn a_notification_goes_to_one_whose_time_is_not_over() {
    check("condvar, a deadline against a notification", 3, || {
        let shared = Shared::new();
        let (timed, waits) = (shared.clone(), shared.clone());
        let timed = thread::spawn(move || {
            let notified = timed.locked(|| timed.get() == 0 && timed.wait(Some(clock::now())));
            if notified {
                timed.changed.notify_one();
            }
        });
        let waits = thread::spawn(move || waits.wait_for(1));
        shared.locked(|| shared.set(1));
        shared.changed.notify_one();
        timed.join().unwrap();
        waits.join().unwrap();
    });
}

#[test]
fn all_are_notified() {
    check("condvar, all, one with a deadline", 2, || {
        let shared = Shared::new();
        let (timed, waits) = (shared.clone(), shared.clone());
        let timed = thread::spawn(move || {
            timed.locked(|| while timed.get() == 0 && timed.wait(Some(clock::now())) {});
        });
        let waits = thread::spawn(move || waits.wait_for(1));
        shared.locked(|| shared.set(1));
        shared.changed.notify_all();
        shared.wait_for(1);
        timed.join().unwrap();
        waits.join().unwrap();
    });
}
