//! `Semaphore`: never more permits are out than it has, waiters are served first come, first
//! served, and no permit is lost by deadlines, done channels, panics or a close.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{bounded, unbounded};
use go_runtime::sync::{AcquireError, Semaphore};
use go_runtime::time::after_func;
use go_runtime::{go, scope, yield_now};

use go_tests::support;

const HOUR: Duration = Duration::from_secs(3600);

/// Waits until `semaphore` has a waiter. All its permits are free otherwise, so `try_acquire` fails
/// only then.
fn somebody_waits(semaphore: &Semaphore) {
    support::eventually(|| semaphore.try_acquire().is_err());
}

#[test]
fn there_are_so_many_and_they_come_back() {
    support::in_both(|| {
        let three = Semaphore::new(3);
        let one = three.acquire().unwrap();
        let mut two = three.acquire_many(2).unwrap();
        assert_eq!(three.available_permits(), 0);
        assert_eq!(three.try_acquire().unwrap_err(), AcquireError::NoPermits);
        let split = two.split(1).unwrap();
        assert!(two.split(2).is_none());
        assert_eq!((two.num_permits(), split.num_permits()), (1, 1));
        drop((one, split));
        assert_eq!(three.available_permits(), 2);
        two.forget();
        assert!(three.try_acquire_many(3).is_err());
        three.add_permits(1);
        assert_eq!(three.try_acquire_many(3).unwrap().num_permits(), 3);
    });
}

/// Goroutines and threads together never hold more permits than there are.
#[test]
fn no_more_at_once() {
    support::in_both(|| {
        let four = Semaphore::new(4);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |n: usize| {
            for round in 0..200 {
                let wants = (n + round) % 4 + 1;
                let permit = four.acquire_many(wants).unwrap();
                let there = now.fetch_add(wants, Ordering::SeqCst) + wants;
                most.fetch_max(there, Ordering::SeqCst);
                yield_now();
                now.fetch_sub(wants, Ordering::SeqCst);
                drop(permit);
            }
        };
        thread::scope(|threads| {
            for n in 0..2 {
                threads.spawn(move || work(n));
            }
            scope(|s| {
                for n in 0..8 {
                    s.spawn(move || work(n));
                }
            });
        });
        let most = most.into_inner();
        assert!((2..=4).contains(&most), "{most}");
        assert_eq!(four.available_permits(), 4);
    });
}

/// Each waiter gets as many permits as it wants, in the order of coming.
#[test]
fn first_come_first_served() {
    support::in_both(|| {
        let ten = Arc::new(Semaphore::new(0));
        let (tx, order) = unbounded();
        for (n, wants) in [7, 1, 10, 2, 3].into_iter().enumerate() {
            let (ten, tx) = (Arc::clone(&ten), tx.clone());
            let (about_to, waits) = bounded(1);
            // Nothing else can run on the waiter's worker, so the waiter has queued when the next
            // goroutine there runs.
            go! {
                go!(local; {
                    about_to.send(()).unwrap();
                    ten.acquire_many(wants).unwrap().forget();
                    tx.send(n).unwrap();
                });
                support::settle();
            }
            .join()
            .unwrap();
            waits.recv().unwrap();
        }
        for n in 0..5 {
            let wants = [7, 1, 10, 2, 3][n];
            ten.add_permits(wants - 1);
            assert!(order.try_recv().is_err());
            ten.add_permits(1);
            assert_eq!(order.recv(), Ok(n));
        }
        assert_eq!(ten.available_permits(), 0);
    });
}

#[test]
fn who_comes_later_does_not_pass() {
    support::in_both(|| {
        let three = Arc::new(Semaphore::new(3));
        let two = three.acquire_many(2).unwrap();
        let theirs = Arc::clone(&three);
        let big = go!(move || theirs.acquire_many(3).map(|permit| permit.num_permits()));
        somebody_waits(&three);
        // One permit is free, but reserved for the waiter.
        assert_eq!(three.available_permits(), 1);
        assert_eq!(three.try_acquire().unwrap_err(), AcquireError::NoPermits);
        let late = three.acquire_timeout(1, Duration::from_millis(1));
        assert_eq!(late.unwrap_err(), AcquireError::TimedOut);
        drop(two);
        assert_eq!(big.join().unwrap(), Ok(3));
        assert_eq!(three.available_permits(), 3);
    });
}

/// When the first waiter gives up, those behind it are served.
#[test]
fn giving_up_lets_the_next_ones_in() {
    support::in_both(|| {
        for by_deadline in [true, false] {
            let two = Arc::new(Semaphore::new(2));
            let one = two.acquire().unwrap();
            let (stop, done) = bounded::<()>(0);
            let theirs = Arc::clone(&two);
            let big = go!(move || {
                let permit = if by_deadline {
                    theirs.acquire_timeout(2, Duration::from_millis(20))
                } else {
                    theirs.acquire_with(2, &done)
                };
                permit.map(drop)
            });
            // On a busy machine the deadline may have passed already.
            support::eventually(|| two.try_acquire().is_err() || big.is_finished());
            let theirs = Arc::clone(&two);
            let small = go!(move || theirs.acquire().map(drop));
            if !by_deadline {
                drop(stop);
            }
            small.join().unwrap().unwrap();
            let error = if by_deadline {
                AcquireError::TimedOut
            } else {
                AcquireError::Canceled
            };
            assert_eq!(big.join().unwrap(), Err(error));
            drop(one);
            assert_eq!(two.available_permits(), 2);
        }
    });
}

#[test]
fn no_permits_and_too_many() {
    support::in_both(|| {
        let none = Semaphore::new(0);
        assert!(none.acquire_many(0).is_ok());
        assert!(none.try_acquire_many(0).is_ok());
        for n in [1, usize::MAX] {
            assert_eq!(
                none.try_acquire_many(n).unwrap_err(),
                AcquireError::NoPermits
            );
            let late = none.acquire_timeout(n, Duration::ZERO);
            assert_eq!(late.unwrap_err(), AcquireError::TimedOut);
        }
        none.add_permits(1);
        assert!(none.acquire_timeout(1, Duration::MAX).is_ok());
        let most = Semaphore::MAX_PERMITS;
        none.add_permits(most - 1);
        assert!(catch_unwind(AssertUnwindSafe(|| none.add_permits(1))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| none.add_permits(usize::MAX))).is_err());
        assert_eq!(none.available_permits(), most);
        assert_eq!(none.acquire_many(most).unwrap().num_permits(), most);
        assert!(catch_unwind(|| Semaphore::new(most + 1)).is_err());
    });
}

#[test]
fn closing_tells_everybody() {
    support::in_both(|| {
        let one = Arc::new(Semaphore::new(1));
        let permit = one.acquire().unwrap();
        let waiting: Vec<_> = (1..=3)
            .map(|n| {
                let theirs = Arc::clone(&one);
                go!(move || theirs.acquire_many(n).map(drop))
            })
            .collect();
        one.close();
        one.close();
        for waiting in waiting {
            assert_eq!(waiting.join().unwrap(), Err(AcquireError::Closed));
        }
        drop(permit);
        assert!(one.is_closed());
        assert_eq!(one.available_permits(), 1);
        let (_stop, done) = bounded::<()>(0);
        let errors = [
            one.acquire().map(drop),
            one.acquire_many(0).map(drop),
            one.try_acquire().map(drop),
            one.acquire_timeout(1, HOUR).map(drop),
            one.acquire_with(1, &done).map(drop),
            Arc::clone(&one).acquire_owned().map(drop),
        ];
        assert_eq!(errors, [Err(AcquireError::Closed); 6]);
        one.add_permits(1);
        assert_eq!(one.available_permits(), 2);
    });
}

#[test]
fn a_done_channel_that_is_closed_gets_nothing() {
    support::in_both(|| {
        let one = Semaphore::new(1);
        let (stop, done) = bounded::<()>(0);
        assert!(one.acquire_with(1, &done).is_ok());
        drop(stop);
        let canceled = one.acquire_with(1, &done);
        assert_eq!(canceled.unwrap_err(), AcquireError::Canceled);
        assert_eq!(one.available_permits(), 1);
    });
}

#[test]
fn a_panic_gives_permits_back() {
    support::in_both(|| {
        let one = Arc::new(Semaphore::new(1));
        let theirs = Arc::clone(&one);
        let child = go!(move || {
            let _permit = theirs.acquire().unwrap();
            panic!("with a permit");
        });
        assert!(child.join().is_err());
        assert!(one.acquire().is_ok());
    });
}

#[test]
fn owned_permits_go_elsewhere() {
    support::in_both(|| {
        let two = Arc::new(Semaphore::new(2));
        let children: Vec<_> = (0..50)
            .map(|_| {
                let mut permits = Arc::clone(&two).acquire_many_owned(2).unwrap();
                let half = permits.split(1).unwrap();
                go!(move || drop(half));
                thread::spawn(move || drop(permits))
            })
            .collect();
        children.into_iter().for_each(|c| c.join().unwrap());
        assert_eq!(two.acquire_many(2).unwrap().num_permits(), 2);
        assert!(Arc::clone(&two).try_acquire_many_owned(3).is_err());
        Arc::clone(&two).try_acquire_many_owned(2).unwrap().forget();
        assert_eq!(two.available_permits(), 0);
    });
}

/// Deadlines, done channels and permits come at the same time: in the end all permits are back.
#[test]
fn nothing_is_lost_in_a_crowd() {
    support::in_both(|| {
        let five = Arc::new(Semaphore::new(5));
        let taken = Arc::new(AtomicUsize::new(0));
        let crowd: Vec<_> = (0..16_u64)
            .map(|n| {
                let (five, taken) = (Arc::clone(&five), Arc::clone(&taken));
                go!(move || {
                    for round in 0..300 {
                        let wants = ((n + round) % 5 + 1) as usize;
                        let pause = Duration::from_micros((n * 7 + round * 13) % 50);
                        let permit = match round % 4 {
                            0 => five.acquire_timeout(wants, pause),
                            1 => {
                                let (stop, done) = bounded::<()>(0);
                                after_func(pause, move || drop(stop));
                                five.acquire_with(wants, &done)
                            }
                            2 => five.try_acquire_many(wants),
                            _ => five.acquire_many(wants),
                        };
                        if permit.is_ok() {
                            taken.fetch_add(1, Ordering::Relaxed);
                            yield_now();
                        }
                    }
                })
            })
            .collect();
        crowd.into_iter().for_each(|c| c.join().unwrap());
        assert!(taken.load(Ordering::Relaxed) >= 16 * 75);
        assert_eq!(five.available_permits(), 5);
        assert!(five.try_acquire_many(5).is_ok());
    });
}

/// A done channel may have any type; a message ends the wait, and stays.
#[test]
fn any_channel_is_a_done_channel() {
    support::in_both(|| {
        let none = Arc::new(Semaphore::new(0));
        let (messages, done) = bounded::<String>(1);
        let waiting = go!(clone(none, done) { none.acquire_with(1, &done).map(drop) });
        yield_now();
        messages.send("enough".into()).unwrap();
        assert_eq!(waiting.join().unwrap(), Err(AcquireError::Canceled));
        assert_eq!(
            none.acquire_with(1, &done).unwrap_err(),
            AcquireError::Canceled
        );
        assert_eq!(done.recv().unwrap(), "enough");
        let waiting =
            go!(clone(none) { none.acquire_with(1, &done).map(|permit| permit.forget()) });
        none.add_permits(1);
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
}

#[test]
fn as_a_static() {
    static ONE: Semaphore = Semaphore::new(1);
    support::in_both(|| assert_eq!(ONE.acquire().unwrap().num_permits(), 1));
}

#[test]
fn a_deadline_and_an_owned_permit_without_waiting() {
    support::in_both(|| {
        let one = Arc::new(Semaphore::new(1));
        let soon = Instant::now() + Duration::from_millis(1);
        let permit = Arc::clone(&one).try_acquire_owned().unwrap();
        let refused = Arc::clone(&one).try_acquire_owned();
        assert_eq!(refused.unwrap_err(), AcquireError::NoPermits);
        let late = one.acquire_deadline(1, soon);
        assert_eq!(late.unwrap_err(), AcquireError::TimedOut);
        drop(permit);
        assert!(one.acquire_deadline(1, soon).is_ok());
        one.close();
        let closed = one.acquire_deadline(1, soon);
        assert_eq!(closed.unwrap_err(), AcquireError::Closed);
    });
}
