//! Channels: hand-over, close, deadlines. The models count all messages, including those that are
//! returned to the sender.

use std::time::Duration;

use loom::thread;

use crate::channel::{Receiver, Sender, bounded};
use crate::check;

/// Returns the received message, or 0 if there was none.
pub(crate) fn recv(rx: &Receiver<usize>) -> usize {
    rx.recv().unwrap_or(0)
}

/// Returns `message` if it was sent, or else 0.
pub(crate) fn send(tx: &Sender<usize>, message: usize) -> usize {
    tx.send(message).map_or(0, |()| message)
}

pub(crate) fn send_timeout(tx: &Sender<usize>, message: usize) -> usize {
    match tx.send_timeout(message, Duration::ZERO) {
        Ok(()) => message,
        Err(error) => {
            assert_eq!(error.into_inner(), message);
            0
        }
    }
}

pub(crate) fn recv_timeout(rx: &Receiver<usize>) -> usize {
    rx.recv_timeout(Duration::ZERO).unwrap_or(0)
}

#[test]
fn rendezvous_delivers_each_message_once() {
    check("rendezvous, 1 sender, 1 receiver", 4, || {
        let (tx, rx) = bounded(0);
        let sender = thread::spawn(move || send(&tx, 1));
        assert_eq!(recv(&rx), 1);
        assert_eq!(sender.join().unwrap(), 1);
    });
}

#[test]
fn a_buffer_delivers_each_message_once() {
    check("buffer of 1, 2 senders, 2 receivers", 3, || {
        let (tx, rx) = bounded(1);
        let (tx2, rx2) = (tx.clone(), rx.clone());
        let sender = thread::spawn(move || send(&tx2, 1));
        let receiver = thread::spawn(move || recv(&rx2));
        assert_eq!(send(&tx, 2), 2);
        let got = recv(&rx);
        assert_eq!(sender.join().unwrap(), 1);
        assert_eq!(got + receiver.join().unwrap(), 3);
    });
}

#[test]
fn a_close_wakes_everybody_and_loses_nothing() {
    check("close against send and receive", 4, || {
        let (tx, rx) = bounded(0);
        let (tx2, tx3) = (tx.clone(), tx);
        let sender = thread::spawn(move || send(&tx2, 1));
        let closer = thread::spawn(move || tx3.close());
        let got = recv(&rx);
        closer.join().unwrap();
        assert_eq!(got, sender.join().unwrap());
    });
}

/// While messages are being sent the last receiver is dropped: each message is received, or
/// returned to the sender, or dropped with the channel.
#[test]
fn the_last_receiver_goes() {
    check("send against the drop of the receiver", 4, || {
        let message = std::sync::Arc::new(());
        let (tx, rx) = bounded(1);
        let theirs = message.clone();
        let sender = thread::spawn(move || {
            let _ = tx.send(theirs.clone());
            let _ = tx.send(theirs);
        });
        let first = rx.recv();
        drop(rx);
        sender.join().unwrap();
        assert!(first.is_ok());
        drop(first);
        assert_eq!(std::sync::Arc::strong_count(&message), 1);
    });
}

#[test]
fn a_deadline_keeps_the_message_on_one_side() {
    check("deadline on both sides of a rendezvous", 4, || {
        let (tx, rx) = bounded(0);
        let sender = thread::spawn(move || send_timeout(&tx, 1));
        let got = recv_timeout(&rx);
        assert_eq!(got, sender.join().unwrap());
    });
}
