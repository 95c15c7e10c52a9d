//! Go's `test/chan`, select6 (its issue 2075), and `TestSelectDuplicateChannel`: a waiter that
//! leaves a channel's queue from the middle leaves the rest intact.
//!
//! All goroutines of a test share one worker, so the order in which they wait is known.

use std::time::Duration;

use go_runtime::channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use go_runtime::{JoinHandle, go, select};

use go_tests::support::{in_goroutine, settle};

/// The number of waiters in a queue, which gives 2^5 patterns of waiters in a select.
const LENGTH: usize = 5;

/// A waiter. `end` returns the message that it received, or its own number if it sends; `None` if
/// it has left.
struct Waiting {
    end: JoinHandle<Option<usize>>,
    leave: Sender<()>,
}

fn receiver(rx: Receiver<usize>, in_select: bool) -> Waiting {
    let (leave, left) = bounded::<()>(0);
    let end = go!(local; {
        if in_select {
            select! { recv(rx) -> got => Some(got.unwrap()), recv(left) -> _ => None }
        } else {
            Some(rx.recv().unwrap())
        }
    });
    settle();
    Waiting { end, leave }
}

fn sender(tx: Sender<usize>, in_select: bool, number: usize) -> Waiting {
    let (leave, left) = bounded::<()>(0);
    let end = go!(local; {
        if in_select {
            select! { send(tx, number) -> sent => sent.unwrap(), recv(left) -> _ => return None }
        } else {
            tx.send(number).unwrap();
        }
        Some(number)
    });
    settle();
    Waiting { end, leave }
}

/// Returns all pairs of two sets, as bits: the waiters in a select and, among them, those that
/// leave.
fn patterns() -> impl Iterator<Item = (usize, usize)> {
    let all = 0..1_usize << LENGTH;
    all.clone().flat_map(move |selects| {
        let leaving = all.clone().filter(move |leaving| leaving & !selects == 0);
        leaving.map(move |leaving| (selects, leaving))
    })
}

fn has(bits: usize, place: usize) -> bool {
    bits >> place & 1 == 1
}

/// Lets the waiters in `leaving` leave, beginning with the last or the first of them, and returns
/// the others.
fn leave(waiting: Vec<Waiting>, leaving: usize, last_first: bool) -> Vec<Waiting> {
    let (mut gone, stay): (Vec<_>, Vec<_>) = waiting
        .into_iter()
        .enumerate()
        .partition(|(place, _)| has(leaving, *place));
    if last_first {
        gone.reverse();
    }
    for (_, waiting) in gone {
        drop(waiting.leave);
        assert_eq!(waiting.end.join().unwrap(), None);
    }
    stay.into_iter().map(|(_, waiting)| waiting).collect()
}

#[test]
fn select6_receivers_leave_a_queue() {
    in_goroutine(|| {
        for ((selects, leaving), last_first) in patterns().flat_map(|p| [(p, true), (p, false)]) {
            let (tx, rx) = bounded(0);
            let all = (0..LENGTH).map(|place| receiver(rx.clone(), has(selects, place)));
            let waiting = leave(all.collect(), leaving, last_first);
            // A later waiter is served after those that stayed.
            let late = receiver(rx.clone(), last_first);
            for (number, waiting) in waiting.into_iter().chain([late]).enumerate() {
                tx.try_send(number).unwrap();
                assert_eq!(
                    waiting.end.join().unwrap(),
                    Some(number),
                    "{selects:b}, {leaving:b}"
                );
            }
            assert_eq!(
                tx.try_send(9),
                Err(TrySendError::Full(9)),
                "nobody is left behind"
            );
        }
    });
}

#[test]
fn select6_senders_leave_a_queue() {
    in_goroutine(|| {
        for ((selects, leaving), last_first) in patterns().flat_map(|p| [(p, true), (p, false)]) {
            let (tx, rx) = bounded(0);
            let all = (0..LENGTH).map(|place| sender(tx.clone(), has(selects, place), place));
            let waiting = leave(all.collect(), leaving, last_first);
            let late = sender(tx.clone(), last_first, LENGTH);
            let numbers = (0..=LENGTH).filter(|place| !has(leaving, *place));
            for (number, waiting) in numbers.zip(waiting.into_iter().chain([late])) {
                assert_eq!(rx.try_recv(), Ok(number), "{selects:b}, {leaving:b}");
                assert_eq!(waiting.end.join().unwrap(), Some(number));
            }
            assert_eq!(
                rx.try_recv(),
                Err(TryRecvError::Empty),
                "nobody is left behind"
            );
        }
    });
}

/// A waiter whose timeout has passed leaves the queue just as well.
#[test]
fn select6_the_impatient_leave_a_queue() {
    const SHORT: Duration = Duration::from_millis(1);
    in_goroutine(|| {
        for selects in 0..1_usize << LENGTH {
            let (tx, rx) = bounded(0);
            // Every other waiter has a short timeout.
            let (mut impatient, mut patient) = (Vec::new(), Vec::new());
            for place in 0..LENGTH {
                let (rx, in_select) = (rx.clone(), has(selects, place));
                if place % 2 == 0 {
                    patient.push(receiver(rx, in_select));
                    continue;
                }
                impatient.push(go!(local; {
                    if in_select {
                        select! { recv(rx) -> got => got.ok(), default(SHORT) => None }
                    } else {
                        rx.recv_timeout(SHORT).ok()
                    }
                }));
                settle();
            }
            for end in impatient {
                assert_eq!(end.join().unwrap(), None);
            }
            for (number, waiting) in patient.into_iter().enumerate() {
                tx.try_send(number).unwrap();
                assert_eq!(waiting.end.join().unwrap(), Some(number), "{selects:b}");
            }
            assert_eq!(tx.try_send(9), Err(TrySendError::Full(9)));
        }
    });
}

/// A select with one channel in several arms is served once, and removes all its arms from the
/// queue, wherever they are.
#[test]
fn select_duplicate_channel() {
    in_goroutine(|| {
        for by_the_other in [true, false] {
            let (tx, rx) = bounded(0);
            let (other, wake) = bounded(0);
            let before = receiver(rx.clone(), false);
            let between = go!(local; clone(rx) {
                select! {
                    recv(rx) -> got => got.unwrap(),
                    recv(rx) -> got => got.unwrap(),
                    recv(wake) -> got => got.unwrap(),
                    recv(rx) -> got => got.unwrap(),
                }
            });
            settle();
            let behind = receiver(rx.clone(), true);
            tx.try_send(0).unwrap();
            assert_eq!(before.end.join().unwrap(), Some(0));
            if by_the_other {
                other.try_send(1).unwrap();
            } else {
                tx.try_send(1).unwrap();
            }
            assert_eq!(between.join().unwrap(), 1);
            tx.try_send(2).unwrap();
            assert_eq!(behind.end.join().unwrap(), Some(2));
            assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)));
        }
    });
}

#[test]
fn select_duplicate_channel_to_send() {
    in_goroutine(|| {
        let (tx, rx) = bounded(0);
        let before = sender(tx.clone(), true, 0);
        let between = go!(local; clone(tx) {
            select! {
                send(tx, 1) -> sent => sent.unwrap(),
                send(tx, 1) -> sent => sent.unwrap(),
                send(tx, 1) -> sent => sent.unwrap(),
            }
        });
        settle();
        let behind = sender(tx.clone(), false, 2);
        for number in 0..3 {
            assert_eq!(rx.try_recv(), Ok(number));
        }
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        between.join().unwrap();
        for waiting in [before, behind] {
            waiting.end.join().unwrap();
        }
    });
}
