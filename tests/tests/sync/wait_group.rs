//! `sync::WaitGroup`: which goroutines it counts, and when a wait ends.

use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{after, bounded, never};
use go_runtime::sync::WaitGroup;
use go_runtime::time::TimedOut;
use go_runtime::{Canceled, go, scope, yield_now};

use go_tests::support;

/// Asserts the count, by the `Debug` output.
#[track_caller]
fn assert_count(group: &WaitGroup, count: usize) {
    assert_eq!(
        format!("{group:?}"),
        format!("WaitGroup {{ count: {count} }}")
    );
}

#[test]
fn every_goroutine_is_waited_for() {
    support::in_both(|| {
        let group = WaitGroup::new();
        let hits = Arc::new(AtomicUsize::new(0));
        for _ in 0..1000 {
            let hits = Arc::clone(&hits);
            group.go(move || {
                yield_now();
                hits.fetch_add(1, Ordering::Relaxed);
            });
        }
        group.wait();
        assert_eq!(hits.load(Ordering::Relaxed), 1000);
        assert_count(&group, 0);
        group.wait();
    });
}

#[test]
fn results_and_panics_are_the_handles() {
    support::in_both(|| {
        let group = WaitGroup::new();
        let (good, bad) = (group.go(|| 42), group.go(|| panic!("expected")));
        drop(group.go(|| panic!("expected")));
        group.wait();
        assert_eq!(good.join().unwrap(), 42);
        let payload = bad.join().unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"expected"));
        assert_count(&group, 0);
    });
}

/// The values that `f` has captured are dropped before `wait` returns, whether `f` returns or
/// panics.
#[test]
fn nothing_of_the_closure_is_left() {
    struct Slow(Arc<AtomicUsize>);
    impl Drop for Slow {
        fn drop(&mut self) {
            yield_now();
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    support::in_both(|| {
        for panics in [false, true] {
            for round in 1..=100 {
                let group = WaitGroup::new();
                let dropped = Arc::new(AtomicUsize::new(0));
                for _ in 0..3 {
                    let slow = Slow(Arc::clone(&dropped));
                    group.go(move || {
                        let _slow = &slow;
                        // (`resume_unwind` prints no message; a hundred messages would be of no
                        // use.)
                        if panics {
                            panic::resume_unwind(Box::new(round));
                        }
                    });
                }
                group.wait();
                assert_eq!(dropped.load(Ordering::Relaxed), 3);
            }
        }
    });
}

/// Clones share a counter; an `Arc` or a static of a group works as well.
#[test]
fn clones_are_one_group() {
    static GROUP: std::sync::LazyLock<WaitGroup> = std::sync::LazyLock::new(WaitGroup::default);
    support::in_both(|| {
        let group = Arc::new(WaitGroup::new());
        let other = WaitGroup::clone(&group);
        other.add(2);
        assert_count(&group, 2);
        go!(group.clone().done());
        go!(clone(other) { other.done() });
        group.wait();
        drop(group);
        other.wait();
        assert_count(&other, 0);
    });
    GROUP.add(1);
    go!(GROUP.done());
    GROUP.wait();
}

/// A goroutine of the group may start more goroutines of it, as the count is not 0.
#[test]
fn goroutines_of_a_group_start_more() {
    fn grow(group: &WaitGroup, depth: u32, leaves: &Arc<AtomicUsize>) {
        if depth == 0 {
            leaves.fetch_add(1, Ordering::Relaxed);
            return;
        }
        for _ in 0..2 {
            let (inner, leaves) = (group.clone(), Arc::clone(leaves));
            group.go(move || grow(&inner, depth - 1, &leaves));
        }
    }
    support::in_both(|| {
        let (group, leaves) = (WaitGroup::new(), Arc::default());
        grow(&group, 8, &leaves);
        group.wait();
        assert_eq!(leaves.load(Ordering::Relaxed), 256);
    });
}

/// Many goroutines and threads wait, round after round.
#[test]
fn rounds_release_everybody() {
    support::in_both(|| {
        let group = WaitGroup::new();
        for round in 0..50 {
            let (stop, done) = bounded::<()>(0);
            for _ in 0..4 {
                let done = done.clone();
                group.go(move || done.recv());
            }
            let waiting: Vec<_> = (0..4).map(|_| go!(clone(group) { group.wait() })).collect();
            let thread = (round % 10 == 0).then(|| {
                let group = group.clone();
                thread::spawn(move || group.wait())
            });
            assert_count(&group, 4);
            drop(stop);
            group.wait();
            for waiting in waiting {
                waiting.join().unwrap();
            }
            if let Some(thread) = thread {
                thread.join().unwrap();
            }
        }
    });
}

#[test]
fn misuse_changes_nothing() {
    support::in_both(|| {
        let group = WaitGroup::new();
        let message = |payload: Box<dyn std::any::Any + Send>| match payload.downcast::<String>() {
            Ok(message) => *message,
            Err(payload) => payload.downcast_ref::<&str>().unwrap().to_string(),
        };
        let negative = catch_unwind(|| group.done()).unwrap_err();
        assert!(message(negative).contains("negative counter"));
        assert_count(&group, 0);
        let minus_one = catch_unwind(|| group.add(usize::MAX)).unwrap_err();
        assert!(message(minus_one).contains("exceed isize::MAX"));
        assert_count(&group, 0);
        let most = isize::MAX as usize;
        group.add(most);
        let dropped = Arc::new(());
        let captured = Arc::clone(&dropped);
        let overflow = catch_unwind(AssertUnwindSafe(|| group.go(move || drop(captured))));
        assert!(message(overflow.unwrap_err()).contains("exceed isize::MAX"));
        assert_eq!(Arc::strong_count(&dropped), 1);
        assert_count(&group, most);
    });
}

#[test]
fn waits_with_a_limit() {
    support::in_both(|| {
        let group = WaitGroup::new();
        assert_eq!(group.wait_timeout(Duration::ZERO), Ok(()));
        group.add(1);
        let soon = Duration::from_millis(2);
        assert_eq!(group.wait_timeout(Duration::ZERO), Err(TimedOut));
        assert_eq!(group.wait_timeout(soon), Err(TimedOut));
        assert_eq!(group.wait_deadline(Instant::now() + soon), Err(TimedOut));
        // The waits that gave up have left the queue: the next waiter is told.
        let waiting = go!(clone(group) { group.wait_timeout(Duration::MAX) });
        yield_now();
        group.done();
        assert_eq!(waiting.join().unwrap(), Ok(()));
        // A wait for a finished group succeeds, even if its deadline has passed.
        assert_eq!(group.wait_deadline(Instant::now() - soon), Ok(()));
    });
}

#[test]
fn waits_with_a_done_channel() {
    support::in_both(|| {
        let group = WaitGroup::new();
        group.add(1);
        // A done channel may have any type; a message ends the wait, and stays.
        let (messages, done) = bounded::<String>(1);
        let waiting = go!(clone(group, done) { group.wait_with(&done) });
        yield_now();
        messages.send("enough".into()).unwrap();
        assert_eq!(waiting.join().unwrap(), Err(Canceled));
        assert_eq!(done.recv().unwrap(), "enough");
        let waiting = go!(clone(group, done) { group.wait_with(&done) });
        drop(messages);
        assert_eq!(waiting.join().unwrap(), Err(Canceled));
        assert_eq!(
            group.wait_with(&after(Duration::from_millis(1))),
            Err(Canceled)
        );
        let waiting = go!(clone(group) { group.wait_with(&never::<()>()) });
        group.done();
        assert_eq!(waiting.join().unwrap(), Ok(()));
        // A ready done channel takes precedence over a count of 0.
        assert_eq!(group.wait_with(&done), Err(Canceled));
    });
}

/// A timed done channel ends no wait if another receiver takes its message first.
#[test]
fn a_done_channel_that_is_not_ready_after_all() {
    support::in_both(|| {
        let group = WaitGroup::new();
        let moment = after(Duration::from_millis(1));
        group.add(1);
        scope(|s| {
            let waiting = go!(s; { group.wait_with(&moment) });
            // The waiter leaves the message in place, so its wait may have ended before the message
            // was received here.
            moment.recv().unwrap();
            yield_now();
            group.done();
            let _ = waiting.join().unwrap();
            assert_eq!(group.wait_with(&moment), Ok(()));
        });
    });
}
