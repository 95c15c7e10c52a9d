//! Channels at their edges: who is served, and what becomes of messages that nobody takes.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use go_runtime::channel::{Receiver, Select, Sender, at, bounded, never, unbounded};
use go_runtime::time::sleep;
use go_runtime::{JoinHandle, go, select, yield_now};

use go_tests::support;

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

/// A message whose drop panics does not take the process with it, even if the next one's panics as
/// well.
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
    // The others are leaked.
    assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
    let back = tx.send(Bomb).unwrap_err();
    catch_unwind(AssertUnwindSafe(|| drop(back))).unwrap_err();
}

/// The `send` arm of a select that has been chosen keeps its place while it makes its message. Who
/// waits behind it for a place is served all the same, whether the arm then sends or not.
fn around_a_promise(keeps: bool) {
    // All on one worker, so that each step is where `yield_now` puts it.
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

/// How a receiver waits for a time that is over, or not at all. It must come back without a
/// message.
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

/// A `send` arm that is slow to make its value keeps a place in the buffer, and no receiver: not
/// one that waits already, and none that comes meanwhile.
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
                    // One more than there are places for.
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

/// A goroutine that asks again and again, and never waits, lets those run who share its worker:
/// what it waits for may be up to them.
#[test]
fn polls_in_vain_do_not_keep_others_out() {
    /// Nothing is ever in `empty`, `full` has no room, `closed` is closed.
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
        // What comes from a closed channel, for ever, is nothing as well.
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
            // Behind it, on the same worker.
            let stopping = go!(local; move || over.set(true));
            polling.join().unwrap();
            stopping.join().unwrap();
            drop((idle, unused));
        })
        .join()
        .unwrap();
    }
}
