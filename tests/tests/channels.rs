//! Channels at their edges: who is served, and what becomes of messages that nobody takes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use go_runtime::channel::{bounded, unbounded};
use go_runtime::{go, select};

/// Arms on the same channel have equal chances also when the select has to wait for a partner.
#[test]
fn arms_on_one_channel_are_served_alike() {
    const ROUNDS: usize = 10_000;
    let (tx, rx) = bounded::<()>(0);
    let receiver = go! {
        let mut hits = [0; 3];
        for _ in 0..ROUNDS {
            select! {
                recv(rx) -> _ => hits[0] += 1,
                recv(rx) -> _ => hits[1] += 1,
                recv(rx) -> _ => hits[2] += 1,
            }
        }
        hits
    };
    let mut hits = [0; 3];
    for _ in 0..ROUNDS {
        select! {
            send(tx, ()) -> _ => hits[0] += 1,
            send(tx, ()) -> _ => hits[1] += 1,
            send(tx, ()) -> _ => hits[2] += 1,
        }
    }
    for hits in [hits, receiver.join().unwrap()] {
        // Equal shares within a half: some 28 standard deviations.
        let share = ROUNDS / 3;
        assert!(
            hits.iter()
                .all(|&n| (share / 2..share * 3 / 2).contains(&n)),
            "{hits:?}"
        );
    }
}

/// A message whose drop panics does not take the process with it, even if the next one's panics as well.
#[test]
fn messages_that_panic_when_dropped() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            panic!("expected");
        }
    }
    let (tx, rx) = unbounded();
    for _ in 0..3 {
        tx.send(Bomb).map_err(std::mem::forget).unwrap();
    }
    catch_unwind(AssertUnwindSafe(|| drop(rx))).unwrap_err();
    assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
    let back = tx.send(Bomb).unwrap_err();
    catch_unwind(AssertUnwindSafe(|| drop(back))).unwrap_err();
}
