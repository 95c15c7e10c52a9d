//! `sync::Barrier` on goroutines and threads together.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use go_runtime::channel::{TryRecvError, bounded};
use go_runtime::sync::{Barrier, BarrierWaitResult};
use go_runtime::{go, scope};

use go_tests::support::{at_several_gomaxprocs, in_both, in_goroutine, settle};

/// No participant goes on before the last has arrived, and exactly one of them leads.
#[test]
fn all_wait_for_the_last() {
    const N: usize = 10;
    in_both(|| {
        let barrier = Arc::new(Barrier::new(N));
        let (tx, rx) = bounded(N);
        for i in 0..N - 1 {
            if i % 2 == 0 {
                go!(clone(barrier, tx) { tx.send(barrier.wait().is_leader()).unwrap() });
            } else {
                let (barrier, tx) = (Arc::clone(&barrier), tx.clone());
                thread::spawn(move || tx.send(barrier.wait().is_leader()).unwrap());
            }
        }
        settle();
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        let mut leaders = usize::from(barrier.wait().is_leader());
        for _ in 0..N - 1 {
            leaders += usize::from(rx.recv().unwrap());
        }
        assert_eq!(leaders, 1);
    });
}

#[test]
fn nobody_waits_at_a_barrier_for_none_or_one() {
    in_both(|| {
        for n in [0, 1] {
            let barrier = Barrier::new(n);
            assert!((0..3).all(|_| barrier.wait().is_leader()));
        }
    });
}

#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn round_after_round() {
    const GOROUTINES: usize = 100;
    const THREADS: usize = 4;
    const N: usize = GOROUTINES + THREADS;
    const ROUNDS: usize = 100;
    static MEET: Barrier = Barrier::new(N);
    let (come, led) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let takes_part = || {
        for round in 1..=ROUNDS {
            come.fetch_add(1, Ordering::Relaxed);
            led.fetch_add(usize::from(MEET.wait().is_leader()), Ordering::Relaxed);
            let come = come.load(Ordering::Relaxed);
            // All other participants may have arrived for the next round already.
            assert!((round * N..(round + 1) * N).contains(&come), "{come}");
        }
    };
    scope(|s| {
        (0..GOROUTINES).for_each(|_| drop(s.spawn(takes_part)));
        thread::scope(|t| (0..THREADS).for_each(|_| drop(t.spawn(takes_part))));
    });
    assert_eq!(led.into_inner(), ROUNDS);
}

#[test]
fn nobody_is_left_behind() {
    at_several_gomaxprocs(&["round_after_round"]);
}

/// The worker runs other goroutines while participants wait.
#[test]
fn who_waits_is_parked() {
    in_goroutine(|| {
        let barrier = Arc::new(Barrier::new(3));
        let waiting: Vec<_> = (0..2)
            .map(|_| go!(local; clone(barrier) { barrier.wait().is_leader() }))
            .collect();
        settle();
        assert!(waiting.iter().all(|w| !w.is_finished()));
        assert!(barrier.wait().is_leader(), "the last one is");
        assert!(waiting.into_iter().all(|w| !w.join().unwrap()));
    });
}

#[test]
fn printed_and_traits() {
    fn is<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    is::<Barrier>();
    is::<BarrierWaitResult>();
    let (ours, theirs) = (Barrier::new(1), std::sync::Barrier::new(1));
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    let (ours, theirs) = (ours.wait(), theirs.wait());
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
}
