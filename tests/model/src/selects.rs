//! Selects: exactly one of all arms commits, on both sides at once, and the others leave nothing
//! behind. The engine and the arms are the real ones.

use std::time::Duration;

use loom::thread;

use super::channels::{recv, recv_timeout, send, send_timeout};
use crate::channel::{Receiver, Select, Sender, bounded};
use crate::check;
use crate::select::{Timeout, select};

/// `select! { recv(a) -> n => .., recv(b) -> n => .. }`, with or without a deadline; returns 0 if
/// nothing was received.
fn recv_either(a: &Receiver<usize>, b: &Receiver<usize>, timeout: Timeout) -> usize {
    let (a, b) = (
        a.__a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime(),
        b.__a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime(),
    );
    match select(&[a.__arm(), b.__arm()], timeout, false) {
        0 => a.__take().unwrap_or(0),
        1 => b.__take().unwrap_or(0),
        _ => 0,
    }
}

/// The outcome of a select over a send and a receive.
#[derive(Debug, PartialEq)]
enum Did {
    Sent,
    Received(usize),
    Nothing,
}

/// `select! { send(tx, message) .., recv(rx) .. }`.
fn send_or_recv(
    tx: &Sender<usize>,
    message: usize,
    rx: &Receiver<usize>,
    timeout: Timeout,
    receive_first: bool,
) -> Did {
    let (send, recv) = (
        tx.__a_send_arm_takes_a_Sender_of_go_runtime(),
        rx.__a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime(),
    );
    let mut arms = [send.__arm(), recv.__arm()];
    if receive_first {
        arms.reverse();
    }
    let chosen = select(&arms, timeout, false);
    if chosen == usize::MAX {
        Did::Nothing
    } else if (chosen == 0) != receive_first {
        send.__reserve()
            .__send(message)
            .map_or(Did::Nothing, |()| Did::Sent)
    } else {
        recv.__take().map_or(Did::Nothing, Did::Received)
    }
}

const SOON: Timeout = Timeout::After(Duration::ZERO);

#[test]
fn a_select_takes_one_of_two_and_loses_neither() {
    check("select over two rendezvous, two senders", 3, || {
        let ((ta, a), (tb, b)) = (bounded(0), bounded(0));
        // The clones keep the channels open: a closed channel would be ready.
        let (ta2, tb2) = (ta.clone(), tb.clone());
        let first = thread::spawn(move || send(&ta2, 1));
        let second = thread::spawn(move || send(&tb2, 2));
        let one = recv_either(&a, &b, Timeout::Forever);
        let other = recv_either(&a, &b, Timeout::Forever);
        assert_eq!(one + other, 3);
        assert_eq!((first.join().unwrap(), second.join().unwrap()), (1, 2));
        drop((ta, tb));
    });
}

/// Two selects that could serve each other in two ways agree on one of them.
fn two_selects(receive_first: [bool; 2]) {
    let ((tx, rx), (ty, ry)) = (bounded(0), bounded(0));
    let (rx2, ty2) = (rx.clone(), ty.clone());
    let [mine, theirs] = receive_first;
    let other = thread::spawn(move || send_or_recv(&ty2, 2, &rx2, Timeout::Forever, theirs));
    let here = send_or_recv(&tx, 1, &ry, Timeout::Forever, mine);
    match (here, other.join().unwrap()) {
        (Did::Sent, Did::Received(1)) | (Did::Received(2), Did::Sent) => {}
        both => panic!("{both:?}"),
    }
    // The unused ends stay open until now.
    drop((rx, ty));
}

#[test]
fn two_selects_agree_on_one_of_two_messages() {
    for receive_first in [[false, false], [false, true], [true, true]] {
        check("two selects, each to send or to receive", 3, move || {
            two_selects(receive_first);
        });
    }
}

/// Two selects with both ends of one channel each serve each other, and never themselves.
#[test]
fn a_select_does_not_serve_itself() {
    check("two selects to send and receive on one channel", 3, || {
        let (tx, rx) = bounded(0);
        let (tx2, rx2) = (tx.clone(), rx.clone());
        let other = thread::spawn(move || send_or_recv(&tx2, 2, &rx2, Timeout::Forever, true));
        let here = send_or_recv(&tx, 1, &rx, Timeout::Forever, true);
        match (here, other.join().unwrap()) {
            (Did::Sent, Did::Received(1)) | (Did::Received(2), Did::Sent) => {}
            both => panic!("{both:?}"),
        }
    });
}

/// A deadline may end a select at the same time as a partner does.
#[test]
fn deadlines_of_selects_keep_messages_on_one_side() {
    check(
        "select with a deadline, two senders, one with a deadline",
        2,
        || {
            let ((ta, a), (tb, b)) = (bounded(0), bounded(0));
            let first = thread::spawn(move || send_timeout(&ta, 1));
            let second = thread::spawn(move || send_timeout(&tb, 2));
            let got = recv_either(&a, &b, SOON);
            drop((a, b));
            assert_eq!(first.join().unwrap() + second.join().unwrap(), got);
        },
    );
    check("two selects with deadlines", 3, || {
        let ((tx, rx), (ty, ry)) = (bounded(0), bounded(0));
        let (tx2, rx2, ty2, ry2) = (tx.clone(), rx.clone(), ty.clone(), ry.clone());
        let other = thread::spawn(move || send_or_recv(&ty2, 2, &rx2, SOON, true));
        let here = send_or_recv(&tx, 1, &ry, SOON, false);
        match (here, other.join().unwrap()) {
            (Did::Sent, Did::Received(1))
            | (Did::Received(2), Did::Sent)
            | (Did::Nothing, Did::Nothing) => {}
            both => panic!("{both:?}"),
        }
        drop((tx2, ry2, rx, ty));
    });
}

/// A channel is closed while a select waits in two queues, and while a sender has a message for the
/// other arm.
#[test]
fn a_close_ends_a_select_once() {
    check(
        "select, a close of one channel, a send on the other",
        3,
        || {
            let ((ta, a), (tb, b)) = (bounded::<usize>(0), bounded(0));
            let closer = thread::spawn(move || ta.close());
            let sender = thread::spawn(move || send(&tb, 2));
            // If the select saw the closed channel first, the message is still to come.
            let mut got = recv_either(&a, &b, Timeout::Forever);
            if got == 0 {
                got = recv(&b);
            }
            assert_eq!(got, 2);
            assert_eq!(sender.join().unwrap(), 2);
            closer.join().unwrap();
        },
    );
}

/// A buffer that has promised its place to an arm of a select keeps the place from others
/// meanwhile.
#[test]
fn a_promised_place_is_kept() {
    check(
        "select to send into a buffer of 1, a sender, a receiver",
        2,
        || {
            let (tx, rx) = bounded(1);
            let (_never, idle) = bounded::<usize>(0);
            let (tx2, rx2) = (tx.clone(), rx.clone());
            let sender = thread::spawn(move || send(&tx2, 1));
            let receiver = thread::spawn(move || recv(&rx2));
            assert_eq!(
                send_or_recv(&tx, 2, &idle, Timeout::Forever, false),
                Did::Sent
            );
            let got = recv(&rx) + receiver.join().unwrap();
            assert_eq!((got, sender.join().unwrap()), (3, 1));
            assert!(rx.is_empty());
        },
    );
}

/// An arm that holds a place in the buffer, and has yet to make its message, does not hold up a
/// receiver beyond its deadline.
#[test]
fn an_arm_with_a_place_keeps_no_receiver() {
    check("a deadline on a buffer, an arm", 4, || {
        let (tx, rx) = bounded(1);
        let rx2 = rx.clone();
        let receiver = thread::spawn(move || recv_timeout(&rx2));
        let arm = tx.__a_send_arm_takes_a_Sender_of_go_runtime();
        assert_eq!(select(&[arm.__arm()], SOON, false), 0);
        let place = arm.__reserve();
        // The receiver does not get the message, because the arm makes it later.
        assert_eq!(receiver.join().unwrap(), 0);
        assert!(place.__send(1).is_ok());
        assert_eq!(recv(&rx), 1);
    });
}

/// There are more arms than places, and a receiver waits. When a message is handed over, or a
/// promise is broken, the place goes to the next arm.
#[test]
fn arms_wait_for_a_place_beside_a_receiver() {
    for keeps in [true, false] {
        check("two arms, a buffer of 1, two receivers", 2, move || {
            let (tx, rx) = bounded(1);
            let (_never, idle) = bounded::<usize>(0);
            let (tx2, idle2, rx2) = (tx.clone(), idle.clone(), rx.clone());
            let arm = thread::spawn(move || send_or_recv(&tx2, 1, &idle2, Timeout::Forever, false));
            let receiver = thread::spawn(move || recv(&rx2));
            let other = tx.__a_send_arm_takes_a_Sender_of_go_runtime();
            assert_eq!(select(&[other.__arm()], Timeout::Forever, false), 0);
            let place = other.__reserve();
            if keeps {
                assert!(place.__send(2).is_ok());
                assert_eq!(recv(&rx) + receiver.join().unwrap(), 3);
            } else {
                drop(place);
                assert_eq!(receiver.join().unwrap(), 1);
            }
            assert_eq!(arm.join().unwrap(), Did::Sent);
            assert!(rx.is_empty());
        });
    }
}

/// A receiver serves a plain sender that waits behind an arm with the only place.
#[test]
fn a_sender_passes_an_arm_that_waits() {
    check("two arms and a sender, a buffer of 1", 2, || {
        let (tx, rx) = bounded(1);
        let (_never, idle) = bounded::<usize>(0);
        let first = tx.__a_send_arm_takes_a_Sender_of_go_runtime();
        assert_eq!(select(&[first.__arm()], SOON, false), 0);
        let place = first.__reserve();
        let (tx2, tx3, idle2) = (tx.clone(), tx.clone(), idle.clone());
        let arm = thread::spawn(move || send_or_recv(&tx2, 1, &idle2, Timeout::Forever, false));
        let sender = thread::spawn(move || send(&tx3, 4));
        // Both arms wait for a place, so this message is the plain sender's.
        assert_eq!(recv(&rx), 4);
        assert!(place.__send(2).is_ok());
        assert_eq!(recv(&rx) + recv(&rx), 3);
        assert_eq!(arm.join().unwrap(), Did::Sent);
        assert_eq!(sender.join().unwrap(), 4);
    });
}

/// An arm that was chosen makes no message. Its receiver tries again, and gets the next message or
/// runs out of time.
#[test]
fn a_broken_promise_leaves_the_receiver_waiting() {
    for deadline in [false, true] {
        check("promise broken", 4, move || {
            let (tx, rx) = bounded(0);
            let receiver = thread::spawn(move || {
                if deadline {
                    recv_timeout(&rx)
                } else {
                    recv(&rx)
                }
            });
            let arm = tx.__a_send_arm_takes_a_Sender_of_go_runtime();
            let chosen = select(&[arm.__arm()], SOON, false);
            if chosen == 0 {
                drop(arm.__reserve());
            }
            let sent = send_timeout(&tx, 5);
            drop(tx);
            assert_eq!(receiver.join().unwrap(), sent);
        });
    }
}

/// `ready` learns of every change: a waiting sender, a message in a buffer, a close, a select's
/// arm.
#[test]
fn who_waits_for_readiness_is_told() {
    check("ready, a sender", 4, || {
        let (tx, rx) = bounded(0);
        let sender = thread::spawn(move || send(&tx, 1));
        let mut list = Select::new();
        list.recv(&rx);
        assert_eq!(list.ready(), 0);
        assert_eq!((recv(&rx), sender.join().unwrap()), (1, 1));
    });
    check("ready, a close, a buffered message", 3, || {
        let ((ta, a), (tb, b)) = (bounded::<usize>(0), bounded(1));
        let (ta2, tb2) = (ta.clone(), tb.clone());
        let closer = thread::spawn(move || ta2.close());
        let sender = thread::spawn(move || send(&tb2, 2));
        let mut list = Select::new();
        list.recv(&a);
        list.recv(&b);
        let ready = list.ready();
        list.remove(ready);
        assert_eq!(list.ready(), 1 - ready);
        closer.join().unwrap();
        assert_eq!((recv(&b), sender.join().unwrap()), (2, 2));
        drop((ta, tb));
    });
    check("ready to send, a select that receives", 3, || {
        let (tx, rx) = bounded(0);
        let (_never, idle) = bounded::<usize>(0);
        let other = thread::spawn(move || recv_either(&idle, &rx, Timeout::Forever));
        let mut list = Select::new();
        list.send(&tx);
        assert_eq!(list.ready(), 0);
        assert_eq!((send(&tx, 1), other.join().unwrap()), (1, 1));
        drop(_never);
    });
}
