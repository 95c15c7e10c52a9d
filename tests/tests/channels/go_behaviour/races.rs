//! Go's `runtime/chan_test.go`: TestChan, the races of operations that do not wait, and
//! TestSelfSelect. These tests, and those in `crowds`, run in processes of their own, with few
//! workers and with many.

use std::array;
use std::collections::HashMap;

use go_runtime::channel::{Receiver, Sender, TryRecvError, bounded};
use go_runtime::{go, select};

use go_tests::support::{at_several_gomaxprocs, in_both, in_goroutine, settle};

#[test]
fn races_with_several_numbers_of_workers() {
    at_several_gomaxprocs(&["::races::", "::crowds::"]);
}

/// The numbers of a sender, and of one of its messages.
pub(super) type Message = (usize, usize);

/// Checks the messages that several receivers got: each message came once, and no message overtook
/// another of its sender on the way to a receiver.
pub(super) fn all_once_in_order(received: &[Vec<Message>], senders: usize, each: usize) {
    let mut times = vec![vec![0; each]; senders];
    for messages in received {
        let mut last = HashMap::new();
        for &(sender, n) in messages {
            times[sender][n] += 1;
            let before = last.insert(sender, n);
            assert!(before < Some(n), "{sender} sent {n} after {before:?}");
        }
    }
    assert!(times.iter().flatten().all(|times| *times == 1));
}

// --- TestChan ---

#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn chan_first_in_first_out() {
    const EACH: usize = 1_000;
    in_both(|| {
        for capacity in 0..=10 {
            let (tx, rx) = bounded(capacity);
            let sending: Vec<_> = (0..4)
                .map(|sender| {
                    go!(clone(tx) { (0..EACH).for_each(|n| tx.send((sender, n)).unwrap()) })
                })
                .collect();
            let receiving: Vec<_> = (0..4)
                .map(|_| go!(clone(rx) { rx.iter().take(EACH).collect::<Vec<Message>>() }))
                .collect();
            sending
                .into_iter()
                .for_each(|sender| sender.join().unwrap());
            let received: Vec<_> = receiving.into_iter().map(|r| r.join().unwrap()).collect();
            assert!(received.iter().all(|messages| messages.len() == EACH));
            all_once_in_order(&received, 4, EACH);
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

/// A receive from an empty channel and a send to a full one wait, and go on when they can.
#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn chan_empty_and_full_ones_block() {
    in_goroutine(|| {
        for capacity in 0..=10 {
            let (tx, rx) = bounded(capacity);
            let plain = go!(local; clone(rx) { rx.recv().unwrap() });
            let in_select = go!(local; clone(rx) { select! { recv(rx) -> n => n.unwrap() } });
            settle();
            assert!(!plain.is_finished() && !in_select.is_finished());
            assert!(rx.try_recv().is_err(), "no goroutine has sent");
            (0..2).for_each(|n| tx.send(n).unwrap());
            assert_eq!((plain.join().unwrap(), in_select.join().unwrap()), (0, 1));

            (0..capacity).for_each(|n| tx.send(n).unwrap());
            let plain = go!(local; clone(tx) { tx.send(capacity).unwrap() });
            settle();
            let in_select = go!(local; clone(tx) {
                select! { send(tx, capacity + 1) -> sent => sent.unwrap() }
            });
            settle();
            assert!(!plain.is_finished() && !in_select.is_finished());
            assert!(tx.try_send(99).is_err() && rx.len() == capacity);
            assert!(rx.iter().take(capacity + 2).eq(0..capacity + 2));
            plain.join().unwrap();
            in_select.join().unwrap();
        }
    });
}

/// Receivers get the messages in a closed channel, and then the error; waiters get it at once.
#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn chan_closing_releases_everybody() {
    in_both(|| {
        for capacity in 0..=10 {
            let (tx, rx) = bounded::<usize>(capacity);
            let waiting: Vec<_> = (0..10).map(|_| go!(clone(rx) { rx.recv() })).collect();
            tx.close();
            assert!(
                waiting
                    .into_iter()
                    .all(|waiting| waiting.join().unwrap().is_err())
            );

            let (tx, rx) = bounded(capacity);
            (0..capacity).for_each(|n| tx.send(n).unwrap());
            // Senders that wait panic in Go; here they get their messages back.
            let waiting: Vec<_> = (10..20)
                .map(|n| (n, go!(clone(tx) { tx.send(n) })))
                .collect();
            tx.close();
            for (n, waiting) in waiting {
                assert_eq!(waiting.join().unwrap().unwrap_err().0, n);
            }
            assert!(rx.iter().eq(0..capacity));
        }
    });
}

// --- TestNonblockRecvRace ---

/// There is always something to receive: a message, or the error that the channel is closed.
#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn nonblock_recv_race() {
    in_both(|| {
        for _ in 0..5_000 {
            let (tx, rx) = bounded(1);
            tx.send(1).unwrap();
            let trying = go!(clone(rx) {
                select! {
                    recv(rx) -> got => got.ok(),
                    default => panic!("it was ready all the time"),
                }
            });
            tx.close();
            let here = rx.recv().ok();
            let both = [here, trying.join().unwrap()];
            assert!(
                both == [Some(1), None] || both == [None, Some(1)],
                "{both:?}"
            );
        }
    });
}

// --- TestNonblockSelectRace ---

/// At any time at least one of two channels is ready: the second becomes ready before the first
/// stops being ready.
fn one_is_always_ready(ready: fn(Sender<i32>) -> Option<Sender<i32>>) {
    for _ in 0..5_000 {
        let ((one, from_one), (two, from_two)) = (bounded(1), bounded(1));
        one.send(1).unwrap();
        let (first, second) = (from_one.clone(), from_two.clone());
        let trying = go!({
            select! {
                recv(first) -> n => n.ok(),
                recv(second) -> n => n.ok().or(Some(2)),
                default => panic!("one of them was ready all the time"),
            }
        });
        let _two = ready(two);
        let here = from_one.try_recv().ok();
        let there = trying.join().unwrap();
        let expected = [(Some(1), Some(2)), (None, Some(1))];
        assert!(expected.contains(&(here, there)), "{here:?}, {there:?}");
    }
}

#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn nonblock_select_race() {
    in_both(|| {
        one_is_always_ready(|two| {
            two.send(2).unwrap();
            Some(two)
        });
    });
}

#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn nonblock_select_race_2() {
    in_both(|| {
        one_is_always_ready(|two| {
            two.close();
            None
        });
    });
}

// --- TestSelfSelect ---

/// Sends and receives on one channel in one select. Returns a received message as an error.
fn either(
    tx: &Sender<Message>,
    rx: &Receiver<Message>,
    message: Message,
    swap: bool,
) -> Result<(), Message> {
    if swap {
        select! {
            recv(rx) -> got => Err(got.unwrap()),
            send(tx, message) -> sent => { sent.unwrap(); Ok(()) }
        }
    } else {
        select! {
            send(tx, message) -> sent => { sent.unwrap(); Ok(()) }
            recv(rx) -> got => Err(got.unwrap()),
        }
    }
}

#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn self_select() {
    const ROUNDS: usize = 5_000;
    in_both(|| {
        for capacity in [0, 1, 10] {
            let (tx, rx) = bounded(capacity);
            let both: [_; 2] = array::from_fn(|me| {
                go!(clone(tx, rx) {
                    let (mut sent, mut received) = (Vec::new(), Vec::new());
                    for round in 0..ROUNDS {
                        match either(&tx, &rx, (me, round), me == 1 && round % 2 == 1) {
                            Ok(()) => sent.push((me, round)),
                            // On a rendezvous channel a goroutine never receives its own message.
                            Err((from, _)) if capacity == 0 && from == me => {
                                panic!("my own message")
                            }
                            Err(message) => received.push(message),
                        }
                    }
                    (sent, received)
                })
            });
            let [one, two] = both.map(|goroutine| goroutine.join().unwrap());
            let mut sent = [one.0, two.0].concat();
            let mut received = [one.1, two.1, rx.try_iter().collect()].concat();
            sent.sort();
            received.sort();
            assert_eq!(sent, received);
        }
    });
}
