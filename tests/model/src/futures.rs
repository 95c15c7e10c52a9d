//! Futures are woken, and can be dropped at any point, also while another thread serves them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;

use super::channels::{recv, send};
use crate::channel::{bounded, unbounded};
use crate::check;
use crate::select::{Timeout, select};

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_future_that_receives_is_woken() {
    check("recv_async, a sender", 4, || {
        let (tx, rx) = bounded(0);
        let sender = thread::spawn(move || send(&tx, 1));
        assert_eq!(block_on(rx.recv_async()), Ok(1));
        assert_eq!(sender.join().unwrap(), 1);
    });
    check("recv_async, a close", 4, || {
        let (tx, rx) = bounded::<usize>(0);
        let closer = thread::spawn(move || tx.close());
        assert!(block_on(rx.recv_async()).is_err());
        closer.join().unwrap();
    });
}

#[test]
fn a_future_that_sends_is_woken() {
    check("send_async, a receiver", 4, || {
        let (tx, rx) = bounded(0);
        let receiver = thread::spawn(move || recv(&rx));
        assert_eq!(block_on(tx.send_async(1)), Ok(()));
        assert_eq!(receiver.join().unwrap(), 1);
    });
    check("send_async, the receiver goes", 4, || {
        let (tx, rx) = bounded(0);
        let receiver = thread::spawn(move || drop(rx));
        assert!(block_on(tx.send_async(1)).is_err());
        receiver.join().unwrap();
    });
}

/// A future that one task has polled can be waited for by another task.
#[test]
fn a_future_changes_its_task() {
    check("recv_async, two wakers", 4, || {
        let (tx, rx) = bounded(0);
        let sender = thread::spawn(move || send(&tx, 1));
        let mut receiving = rx.recv_async();
        match poll_once(&mut receiving) {
            Poll::Ready(got) => assert_eq!(got, Ok(1)),
            Poll::Pending => assert_eq!(block_on(receiving), Ok(1)),
        }
        assert_eq!(sender.join().unwrap(), 1);
    });
}

/// A receive that is dropped while a sender comes: either the future has the message, or the
/// message is still in the channel.
#[test]
fn a_dropped_receive_gives_its_message_back() {
    check("recv_async dropped, a sender", 4, || {
        let (tx, rx) = unbounded();
        let sender = thread::spawn(move || send(&tx, 1));
        let mut receiving = rx.recv_async();
        let first = poll_once(&mut receiving);
        drop(receiving);
        assert_eq!(sender.join().unwrap(), 1);
        let rest = rx.try_recv();
        assert_eq!(
            (first.is_ready(), rest.is_err()),
            (rest.is_err(), first.is_ready())
        );
    });
    check(
        "recv_async dropped, a sender, a receiver that waits",
        3,
        || {
            let (tx, rx) = bounded(0);
            let sender = thread::spawn(move || send(&tx, 1));
            let rx2 = rx.clone();
            let receiver = thread::spawn(move || recv(&rx2));
            let mut receiving = rx.recv_async();
            let first = match poll_once(&mut receiving) {
                Poll::Ready(got) => got.unwrap_or(0),
                Poll::Pending => 0,
            };
            drop(receiving);
            assert_eq!(sender.join().unwrap(), 1);
            // The message went to one of the two, or came back after the other had left.
            let second = receiver.join().unwrap();
            let rest = rx.try_recv().unwrap_or(0);
            assert_eq!(first + second + rest, 1);
        },
    );
}

/// A send that is dropped while a receiver comes: the message is received, or is dropped with the
/// future.
#[test]
fn a_dropped_send_has_happened_or_not() {
    check("send_async dropped, a receiver", 4, || {
        let message = StdArc::new(());
        let (tx, rx) = bounded(0);
        let receiver = thread::spawn(move || rx.recv().is_ok());
        let mut sending = tx.send_async(message.clone());
        let first = poll_once(&mut sending);
        drop(sending);
        drop(tx);
        let got = receiver.join().unwrap();
        assert!(got || first.is_pending());
        assert_eq!(StdArc::strong_count(&message), 1);
    });
    check("send_async dropped, a close", 4, || {
        let message = StdArc::new(());
        let (tx, rx) = bounded(0);
        let tx2 = tx.clone();
        let closer = thread::spawn(move || tx2.close());
        let mut sending = tx.send_async(message.clone());
        let _ = poll_once(&mut sending);
        drop(sending);
        closer.join().unwrap();
        assert_eq!(StdArc::strong_count(&message), 1);
        drop(rx);
    });
}

/// The partner is an arm of a select, which makes its message, or fails to make it, after it was
/// chosen.
#[test]
fn a_future_and_a_promise() {
    for kept in [true, false] {
        for dropped in [true, false] {
            check("recv_async, a promise", 3, move || {
                let (tx, rx) = bounded(0);
                let selecting = thread::spawn(move || {
                    let arm = tx.__a_send_arm_takes_a_Sender_of_go_runtime();
                    assert_eq!(select(&[arm.__arm()], Timeout::Forever, false), 0);
                    let place = arm.__reserve();
                    if kept {
                        assert!(place.__send(1).is_ok());
                    } else {
                        drop(place);
                        assert_eq!(send(&tx, 1), 1);
                    }
                });
                let mut receiving = rx.recv_async();
                let got = match poll_once(&mut receiving) {
                    Poll::Ready(got) => got.unwrap_or(0),
                    Poll::Pending if dropped => {
                        drop(receiving);
                        recv(&rx)
                    }
                    Poll::Pending => block_on(receiving).unwrap_or(0),
                };
                assert_eq!(got, 1);
                selecting.join().unwrap();
            });
        }
    }
}
