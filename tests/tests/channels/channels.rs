//! Channels in rare cases: which waiter is served, and what becomes of messages that are never
//! received.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use go_runtime::channel::{Receiver, Select, Sender, at, bounded, never, unbounded};
use go_runtime::time::sleep;
use go_runtime::{JoinHandle, go, select, yield_now};

use go_tests::support;

/// Arms on one channel have equal chances even if the select has to wait for a partner.
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
        // Each arm's share is right to within a half, which is some 28 standard deviations.
        let share = ROUNDS / 3;
        assert!(
            hits.iter()
                .all(|&n| (share / 2..share * 3 / 2).contains(&n)),
            "{hits:?}"
        );
    }
}

/// A message that panics when it is dropped does not abort the process, even if the next one would
/// panic too.
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
    // The other messages are leaked.
    assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
    let back = tx.send(Bomb).unwrap_err();
    catch_unwind(AssertUnwindSafe(|| drop(back))).unwrap_err();
}

/// An arm that was chosen to send keeps its place in the buffer while it makes its message. Waiters
/// behind it are served meanwhile, whether the arm sends in the end or not.
fn around_a_promise(keeps: bool) {
    // All goroutines share one worker, so `yield_now` determines the order of their steps.
    go!({
        let (tx, rx) = bounded(1);
        let (open, gate) = bounded::<()>(0);
        let promising = go!(local; clone(tx) {
            select! {
                send(tx, {
                    gate.recv().unwrap();
                    if !keeps {
                        return;
                    }
                    1
                }) -> sent => sent.unwrap(),
            }
        });
        yield_now();
        let sending = go!(local; { tx.send(2).unwrap(); drop(tx) });
        yield_now();
        let receiving = go!(local; { rx.iter().collect::<Vec<_>>() });
        yield_now();
        open.send(()).unwrap();
        promising.join().unwrap();
        sending.join().unwrap();
        let expected = if keeps { vec![2, 1] } else { vec![2] };
        assert_eq!(receiving.join().unwrap(), expected);
    })
    .join()
    .unwrap();
}

/// Receives in one of several ways, with a timeout that passes or without waiting. The receive must
/// end without a message.
fn receive_in_time(way: usize, rx: &Receiver<u32>) {
    let time = Duration::from_millis(1);
    let over = Instant::now() + time;
    let (stop, done) = bounded::<()>(0);
    match way {
        0 => assert!(rx.recv_timeout(time).is_err()),
        1 => assert!(rx.recv_deadline(over).is_err()),
        2 => select! { recv(rx) -> _ => panic!("received"), default(time) => {} },
        3 => select! { recv(rx) -> _ => panic!("received"), recv(at(over)) -> _ => {} },
        4 => {
            go!({
                sleep(time);
                drop(stop)
            });
            select! { recv(rx) -> _ => panic!("received"), recv(done) -> _ => {} }
        }
        5 => {
            let mut list = Select::new();
            list.recv(rx);
            assert!(list.select_timeout(time).is_err());
            assert!(list.ready_timeout(time).is_err());
        }
        6 => select! { recv(rx) -> _ => panic!("received"), default => {} },
        _ => assert!(rx.try_recv().is_err()),
    }
}

/// A `send` arm that is slow to make its value holds a place in the buffer, but holds up no
/// receiver, whether the receiver waits already or comes later.
#[test]
fn a_slow_arm_keeps_no_receiver_beyond_its_time() {
    for capacity in [Some(1), Some(2), None] {
        for way in 0..8 {
            for comes_first in [true, false] {
                support::in_goroutine(move || {
                    let (tx, rx) = capacity.map_or_else(unbounded, bounded);
                    let (open, gate) = bounded::<()>(0);
                    let (told, chosen) = bounded::<()>(4);
                    let receive = || go!(local; clone(rx) { receive_in_time(way, &rx) });
                    let first = comes_first.then(receive);
                    support::settle();
                    // Makes one arm more than the buffer has places.
                    let arms: Vec<_> = (0..capacity.unwrap_or(1) as u32 + 1)
                        .map(|n| {
                            go!(local; clone(tx, gate, told) {
                                select! {
                                    send(tx, {
                                        told.send(()).unwrap();
                                        gate.recv().unwrap_err();
                                        n
                                    }) -> sent => {
                                        sent.unwrap();
                                    }
                                }
                            })
                        })
                        .collect();
                    chosen.recv().unwrap();
                    first.unwrap_or_else(receive).join().unwrap();
                    receive().join().unwrap();
                    drop(open);
                    let mut got: Vec<_> = rx.iter().take(arms.len()).collect();
                    got.sort();
                    assert!(got.into_iter().eq(0..arms.len() as u32));
                    arms.into_iter().for_each(|arm| arm.join().unwrap());
                });
            }
        }
    }
}

#[test]
fn a_kept_promise_lets_others_through() {
    around_a_promise(true);
}

#[test]
fn a_broken_promise_lets_others_through() {
    around_a_promise(false);
}

/// A goroutine that polls in a loop, and never waits, lets other goroutines of its worker run: the
/// event that it polls for may depend on them.
#[test]
fn polls_in_vain_do_not_keep_others_out() {
    /// The ends to poll: no message ever comes to `empty`, `full` has no room, and `closed` is
    /// closed.
    struct Ends {
        empty: Receiver<()>,
        full: Sender<()>,
        closed: Receiver<()>,
        refused: Sender<()>,
        running: JoinHandle<()>,
    }
    let polls: [fn(&Ends); 10] = [
        |ends| {
            select! {
                recv(ends.empty) -> _ => unreachable!(),
                default => {}
            }
        },
        |ends| assert!(ends.empty.try_recv().is_err()),
        |ends| assert!(ends.full.try_send(()).is_err()),
        |ends| {
            let mut list = Select::new();
            list.recv(&ends.empty);
            assert!(list.try_ready().is_err() && list.try_select().is_err());
        },
        |ends| assert!(!ends.running.is_finished()),
        |_| assert!(never::<()>().recv_timeout(Duration::ZERO).is_err()),
        // A closed channel is always ready, with nothing to receive; that counts as a poll in vain
        // too.
        |ends| {
            select! {
                recv(ends.closed) -> nothing => assert!(nothing.is_err()),
                recv(ends.empty) -> _ => unreachable!(),
            }
        },
        |ends| {
            select! {
                send(ends.refused, ()) -> refused => assert!(refused.is_err()),
            }
        },
        |ends| assert!(ends.closed.recv().is_err()),
        |ends| assert!(ends.refused.send(()).is_err()),
    ];
    for poll in polls {
        go!({
            let ((idle, empty), (full, unused)) = (bounded(0), bounded(0));
            let ((_, closed), (refused, _)) = (bounded(0), bounded(0));
            let (stop, done) = bounded::<()>(0);
            let ends = Ends {
                empty,
                full,
                closed,
                refused,
                running: go!(local; move || assert!(done.recv().is_err())),
            };
            let over = Rc::new(Cell::new(false));
            let seen = Rc::clone(&over);
            let polling = go!(local; move || {
                while !seen.get() {
                    poll(&ends);
                }
                drop(stop);
                ends.running.join().unwrap();
            });
            // This goroutine waits behind the polling one, on the same worker.
            let stopping = go!(local; move || over.set(true));
            polling.join().unwrap();
            stopping.join().unwrap();
            drop((idle, unused));
        })
        .join()
        .unwrap();
    }
}
