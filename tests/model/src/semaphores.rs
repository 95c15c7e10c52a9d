//! The permits of a `Semaphore`: no more are taken than there are, none is lost, and no waiter
//! waits for ever.

#[path = "../../../go-runtime/src/sync/semaphore/raw.rs"]
mod raw;

/// A copy of the runtime's error type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AcquireError {
    Closed,
    NoPermits,
    TimedOut,
    Canceled,
}

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use self::raw::RawSemaphore;
use crate::channel::Receiver;
use crate::check;

/// A semaphore, and how many of its permits are taken.
struct Counted {
    semaphore: RawSemaphore,
    permits: usize,
    out: AtomicUsize,
}

fn wait_for_grant(granted: &Receiver<()>) -> Result<(), AcquireError> {
    granted.recv().map_err(|_| AcquireError::Closed)
}

impl Counted {
    fn new(permits: usize) -> Arc<Counted> {
        Arc::new(Counted {
            semaphore: RawSemaphore::new(permits),
            permits,
            out: AtomicUsize::new(0),
        })
    }

    fn work(&self, n: usize) {
        let out = self.out.fetch_add(n, Ordering::Relaxed) + n;
        assert!(out <= self.permits, "{out} are taken");
        self.out.fetch_sub(n, Ordering::Relaxed);
        self.semaphore.give_back(n);
    }

    fn take(&self, n: usize) {
        self.semaphore.take(n, wait_for_grant).unwrap();
        self.work(n);
    }

    /// Takes `n` permits if they are granted at once, and otherwise gives up with `error`.
    fn try_take(&self, n: usize, error: AcquireError) {
        let taken = self
            .semaphore
            .take(n, |granted| granted.try_recv().map_err(|_| error));
        if taken.is_ok() {
            self.work(n);
        }
    }

    /// Checks that all permits are back, and can be taken again.
    fn ended(&self) {
        assert_eq!(self.semaphore.free(), self.permits);
        self.semaphore.try_take(self.permits).unwrap();
        self.semaphore.give_back(self.permits);
        self.take(1);
    }
}

/// Lets each thread take as many permits as its entry in `wants`; the test's own thread takes them
/// `times` times.
fn race(name: &str, preemptions: usize, permits: usize, wants: &'static [usize], times: usize) {
    check(name, preemptions, move || {
        let counted = Counted::new(permits);
        let threads: Vec<_> = wants[1..]
            .iter()
            .map(|n| {
                let there = counted.clone();
                thread::spawn(move || there.take(*n))
            })
            .collect();
        (0..times).for_each(|_| counted.take(wants[0]));
        threads.into_iter().for_each(|t| t.join().unwrap());
        counted.ended();
    });
}

#[test]
fn one_permit_for_all() {
    race("semaphore, one permit, two threads", 3, 1, &[1, 1], 2);
    race("semaphore, one permit, three threads", 2, 1, &[1, 1, 1], 1);
}

#[test]
fn a_waiter_for_many_permits_is_served_and_holds_no_other_up() {
    race("semaphore, two permits for 1, 2 and 1", 2, 2, &[1, 2, 1], 1);
    race("semaphore, two permits for 2, 1 and 1", 2, 2, &[2, 1, 1], 1);
}

/// A waiter for many permits gives up: either the waiters behind it are served, or its permits have
/// come just then.
#[test]
fn giving_up_loses_nothing() {
    for error in [AcquireError::TimedOut, AcquireError::Canceled] {
        check(&format!("semaphore, giving up, {error:?}"), 3, move || {
            let counted = Counted::new(2);
            counted.semaphore.try_take(1).unwrap();
            let there = counted.clone();
            let gives_up = thread::spawn(move || there.try_take(2, error));
            let there = counted.clone();
            let waits = thread::spawn(move || there.take(1));
            counted.semaphore.give_back(1);
            gives_up.join().unwrap();
            waits.join().unwrap();
            counted.ended();
        });
    }
}

/// When the waiter in front gives up, the waiter behind it is served although no permit comes back.
#[test]
fn giving_up_lets_the_next_one_in() {
    check("semaphore, giving up in front of another", 3, || {
        let counted = Counted::new(2);
        counted.semaphore.try_take(1).unwrap();
        let there = counted.clone();
        let waits = thread::spawn(move || there.take(1));
        counted.try_take(2, AcquireError::TimedOut);
        waits.join().unwrap();
        counted.semaphore.give_back(1);
        counted.ended();
    });
}

#[test]
fn permits_are_added_for_waiters() {
    check("semaphore, permits added", 3, || {
        let counted = Arc::new(Counted {
            semaphore: RawSemaphore::new(0),
            permits: 2,
            out: AtomicUsize::new(0),
        });
        let there = counted.clone();
        let waits = thread::spawn(move || there.take(2));
        assert!(counted.semaphore.give(1, usize::checked_add));
        assert!(counted.semaphore.give(1, usize::checked_add));
        waits.join().unwrap();
        counted.ended();
    });
}

#[test]
fn closing_ends_every_wait() {
    check("semaphore, closed", 3, || {
        let counted = Counted::new(1);
        counted.semaphore.try_take(1).unwrap();
        let there = counted.clone();
        let waits = thread::spawn(move || match there.semaphore.take(1, wait_for_grant) {
            Ok(()) => there.semaphore.give_back(1),
            Err(error) => assert_eq!(error, AcquireError::Closed),
        });
        let there = counted.clone();
        let closes = thread::spawn(move || there.semaphore.close());
        counted.semaphore.give_back(1);
        closes.join().unwrap();
        waits.join().unwrap();
        assert_eq!(counted.semaphore.free(), 1);
        assert_eq!(
            counted.semaphore.take(1, wait_for_grant),
            Err(AcquireError::Closed)
        );
        assert_eq!(counted.semaphore.try_take(0), Err(AcquireError::Closed));
    });
}
