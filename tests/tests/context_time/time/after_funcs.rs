//! Functions that run later.

use super::*;

use go_tests::support::child;

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn it_runs_once_and_later() {
    support::in_both(|| {
        let (tx, rx) = unbounded();
        let start = Instant::now();
        let late = after_func(MOMENT, move || tx.send(Instant::now()).unwrap());
        assert!(rx.recv().unwrap() >= start + MOMENT);
        assert!(rx.recv().is_err());
        assert!(!late.stop());
        assert!(!late.reset(MOMENT));
    });
}

#[test]
fn a_moment_that_has_passed_is_now() {
    support::in_both(|| {
        let (tx, rx) = unbounded();
        let now = tx.clone();
        after_func(Duration::ZERO, move || now.send(()).unwrap());
        after_func_at(Instant::now() - MOMENT, move || tx.send(()).unwrap());
        assert_eq!(rx.iter().count(), 2);
    });
}

#[test]
fn it_is_called_off_and_set_anew() {
    support::in_both(|| {
        for time in [HOUR, Duration::MAX] {
            let (tx, rx) = unbounded();
            let late = after_func(time, move || tx.send(()).unwrap());
            assert!(late.stop());
            assert!(!late.stop());
            assert!(late.reset(time));
            assert!(late.reset(HOUR));
            assert!(late.stop());
            assert!(rx.try_recv().is_err());
            assert!(late.reset(MOMENT));
            assert_eq!(rx.iter().count(), 1);
            assert!(!late.reset(MOMENT));
            assert!(!late.stop());
        }
    });
}

/// The function is dropped once: with its handle if it was stopped or can never run, otherwise
/// after it has run.
#[test]
fn what_it_holds_is_dropped() {
    support::in_both(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let held = || Dropped(Arc::clone(&drops));
        let count = || drops.load(Ordering::SeqCst);
        let pending = |time| {
            let held = held();
            after_func(time, move || drop(held))
        };

        let late = pending(HOUR);
        late.stop();
        assert_eq!(count(), 0);
        drop(late);
        assert_eq!(count(), 1);

        drop(pending(Duration::MAX));
        assert_eq!(count(), 2);

        // The function runs although its handle was dropped.
        drop(pending(MOMENT));
        support::eventually(|| count() == 3);

        let late = pending(MOMENT);
        support::eventually(|| count() == 4);
        drop(late);
        assert_eq!(count(), 4);
    });
}

#[test]
fn its_panic_is_its_own() {
    support::in_both(|| {
        let (tx, rx) = bounded::<()>(0);
        after_func(MOMENT, move || {
            let _tx = tx;
            panic!("no luck");
        });
        assert!(rx.recv().is_err());
    });
}

/// At most one of two simultaneous calls of `stop` succeeds, and then the function does not run.
#[test]
fn stopping_races_with_the_clock() {
    support::in_both(|| {
        let (ran, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut stopped = 0;
        for round in 0..5000 {
            let (here, held) = (Arc::clone(&ran), Dropped(Arc::clone(&dropped)));
            let late = after_func(Duration::from_micros(round % 60), move || {
                let _held = held;
                here.fetch_add(1, Ordering::SeqCst);
            });
            let late = Arc::new(late);
            let other = go!(clone(late) { late.stop() });
            let stops = [late.stop(), other.join().unwrap()];
            assert!(!stops[0] || !stops[1]);
            stopped += usize::from(stops[0] || stops[1]);
        }
        support::eventually(|| dropped.load(Ordering::SeqCst) == 5000);
        assert_eq!(ran.load(Ordering::SeqCst) + stopped, 5000);
    });
}

/// The function runs at most once, however often it is reset, and does not run if the last call was
/// `stop`.
#[test]
fn setting_anew_races_with_the_clock() {
    support::in_both(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        for round in 0..3000 {
            let ran = Arc::new(AtomicUsize::new(0));
            let (here, held) = (Arc::clone(&ran), Dropped(Arc::clone(&dropped)));
            let late = after_func(Duration::from_micros(round % 60), move || {
                let _held = held;
                here.fetch_add(1, Ordering::SeqCst);
            });
            let late = Arc::new(late);
            let resets = go!(clone(late) {
                (0..3).map(|n| late.reset(Duration::from_micros(n * 10))).collect::<Vec<_>>()
            });
            let stopped = late.stop();
            let resets = resets.join().unwrap();
            // Once the function has started no reset succeeds.
            assert!(resets.is_sorted_by(|a, b| a >= b), "{resets:?}");
            if late.stop() || stopped && late.reset(HOUR) {
                assert_eq!(ran.load(Ordering::SeqCst), 0);
                late.stop();
            }
            assert!(ran.load(Ordering::SeqCst) <= 1);
        }
        support::eventually(|| dropped.load(Ordering::SeqCst) == 3000);
    });
}

/// Pending functions do not count as goroutines.
#[test]
#[ignore = "run by the_count_and_a_held_worker"]
fn a_crowd_of_pending_ones() {
    let before = num_goroutines();
    let hits = Arc::new(AtomicUsize::new(0));
    let late: Vec<_> = (0..100_000_u64)
        .map(|n| {
            let hits = Arc::clone(&hits);
            // The moments are in no order.
            let micros = 200_000 + n * 7919 % 100_000;
            let time = if n % 2 == 0 {
                HOUR
            } else {
                Duration::from_micros(micros)
            };
            after_func(time, move || {
                hits.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    assert!(num_goroutines() <= before + 50_000);
    let stopped = late.iter().step_by(2).filter(|late| late.stop()).count();
    assert_eq!(stopped, 50_000);
    support::eventually(|| hits.load(Ordering::Relaxed) == 50_000);
    support::eventually(|| num_goroutines() <= before);
}

/// A function runs even while the goroutine that scheduled it computes.
#[test]
#[ignore = "run by the_count_and_a_held_worker"]
fn a_held_worker_does_not_delay_it_for_ever() {
    support::in_goroutine(|| {
        for _ in 0..3 {
            let ran = Arc::new(AtomicBool::new(false));
            let there = Arc::clone(&ran);
            after_func(MOMENT, move || there.store(true, Ordering::Relaxed));
            while !ran.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        }
    });
}

/// A new alarm wakes workers that were going to sleep for a long time.
#[test]
#[ignore = "run by the_count_and_a_held_worker"]
fn a_thread_gets_sleeping_workers_up() {
    support::on_thread(|| {
        for _ in 0..50 {
            let far = after_func(HOUR, || {});
            let (tx, rx) = bounded::<()>(0);
            thread::sleep(MOMENT);
            after_func(MOMENT, move || drop(tx));
            assert!(rx.recv().is_err());
            assert!(far.stop());
        }
    });
}

#[test]
fn the_count_and_a_held_worker() {
    child::succeed_with_few_and_many(&[
        "after_funcs::a_crowd_of_pending_ones",
        "after_funcs::a_held_worker_does_not_delay_it_for_ever",
        "after_funcs::a_thread_gets_sleeping_workers_up",
    ]);
}
