//! Senders and receivers, each of which uses a random operation for each message.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use go_runtime::channel::{
    Receiver, RecvTimeoutError, Select, SendTimeoutError, Sender, TryRecvError, TrySendError,
};
use go_runtime::{select, yield_now};

use super::ledger::{Ledger, Message};

/// Returns a short timeout, which ends about as often before an operation as after it.
fn moment() -> Duration {
    Duration::from_micros(fastrand::u64(0..30))
}

/// How a sender sends its next message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Plain,
    Try,
    Timeout,
    Select,
    SelectTimeout,
    List,
    ListTimeout,
    Future,
    DroppedFuture,
}

pub(super) const WAYS: [Way; 9] = [
    Way::Plain,
    Way::Try,
    Way::Timeout,
    Way::Select,
    Way::SelectTimeout,
    Way::List,
    Way::ListTimeout,
    Way::Future,
    Way::DroppedFuture,
];

/// Sends until all messages of the round have been created, or the channel is closed. Nothing ever
/// happens on the channel `idle`.
pub(super) fn send(
    way: Way,
    tx: &Sender<Message>,
    idle: &(Sender<Message>, Receiver<Message>),
    ledger: &Arc<Ledger>,
) {
    while let Some(message) = ledger.make() {
        if !send_one(way, tx, idle, message) {
            return;
        }
    }
}

/// Sends one message. Returns `false` if the channel is closed.
fn send_one(
    way: Way,
    tx: &Sender<Message>,
    idle: &(Sender<Message>, Receiver<Message>),
    mut message: Message,
) -> bool {
    for attempt in 0.. {
        // `Err(Ok(message))` means that the message has not been sent yet.
        let result = match plain_if_late(way, attempt) {
            Way::Plain => tx.send(message).map_err(|error| Err(error.0)),
            Way::Try => tx.try_send(message).map_err(|error| match error {
                TrySendError::Full(message) => Ok(message),
                TrySendError::Disconnected(message) => Err(message),
            }),
            Way::Timeout => tx
                .send_timeout(message, moment())
                .map_err(|error| match error {
                    SendTimeoutError::Timeout(message) => Ok(message),
                    SendTimeoutError::Disconnected(message) => Err(message),
                }),
            Way::Select => select! {
                send(tx, message) -> sent => sent.map_err(|error| Err(error.0)),
                recv(idle.1) -> _ => unreachable!("nothing ever happens there"),
            },
            Way::SelectTimeout => {
                let mut message = Some(message);
                let sent = select! {
                    recv(idle.1) -> _ => unreachable!("nothing ever happens there"),
                    // The value is created after the arm has been chosen.
                    send(tx, message.take().unwrap()) -> sent => sent.map_err(|error| Err(error.0)),
                    default(moment()) => Ok(()),
                };
                match message {
                    Some(message) => Err(Ok(message)),
                    None => sent,
                }
            }
            Way::List | Way::ListTimeout => {
                let mut list = Select::new();
                list.recv(&idle.1);
                let index = list.send(tx);
                let chosen = match way {
                    Way::List => Ok(list.select()),
                    _ => list.select_timeout(moment()),
                };
                match chosen {
                    Ok(operation) => {
                        assert_eq!(operation.index(), index);
                        operation.send(tx, message).map_err(|error| Err(error.0))
                    }
                    Err(_) => Err(Ok(message)),
                }
            }
            Way::Future => {
                futures::executor::block_on(tx.send_async(message)).map_err(|error| Err(error.0))
            }
            Way::DroppedFuture => {
                message.risk();
                match poll_few(tx.send_async(message)) {
                    Some(result) => result.map_err(|error| Err(error.0)),
                    None => Ok(()),
                }
            }
        };
        match result {
            Ok(()) => return true,
            Err(Err(message)) => {
                message.give_up();
                return false;
            }
            Err(Ok(back)) => {
                message = back;
                yield_now();
            }
        }
    }
    unreachable!("there are always more attempts")
}

/// On a rendezvous channel, a sender and a receiver that never wait would never meet.
fn plain_if_late(way: Way, attempt: usize) -> Way {
    match way {
        Way::Try if attempt > 1_000 => Way::Plain,
        way => way,
    }
}

/// Receives until the channel is closed and empty, or `most` messages have arrived. Returns the
/// number of messages.
pub(super) fn receive(
    way: Way,
    rx: &Receiver<Message>,
    idle: &(Sender<Message>, Receiver<Message>),
    most: usize,
) -> usize {
    for count in 0..most {
        match receive_one(way, rx, idle) {
            Some(message) => message.receive(),
            None => return count,
        }
    }
    most
}

/// Receives one message. Returns `None` if the channel is closed and empty.
fn receive_one(
    way: Way,
    rx: &Receiver<Message>,
    idle: &(Sender<Message>, Receiver<Message>),
) -> Option<Message> {
    for attempt in 0.. {
        match plain_if_late(way, attempt) {
            Way::Plain => return rx.recv().ok(),
            Way::Try => match rx.try_recv() {
                Ok(message) => return Some(message),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            },
            Way::Timeout => match rx.recv_timeout(moment()) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            },
            Way::Select => {
                return select! {
                    recv(idle.1) -> _ => unreachable!("nothing ever happens there"),
                    recv(rx) -> message => message.ok(),
                };
            }
            Way::SelectTimeout => {
                let received = select! {
                    recv(rx) -> message => Some(message.ok()),
                    recv(idle.1) -> _ => unreachable!("nothing ever happens there"),
                    default(moment()) => None,
                };
                if let Some(received) = received {
                    return received;
                }
            }
            Way::List | Way::ListTimeout => {
                let mut list = Select::new();
                let index = list.recv(rx);
                list.recv(&idle.1);
                let chosen = match way {
                    Way::List => Ok(list.select()),
                    _ => list.select_timeout(moment()),
                };
                if let Ok(operation) = chosen {
                    assert_eq!(operation.index(), index);
                    return operation.recv(rx).ok();
                }
            }
            Way::Future => return futures::executor::block_on(rx.recv_async()).ok(),
            Way::DroppedFuture => {
                if let Some(received) = poll_few(rx.recv_async()) {
                    return received.ok();
                }
            }
        }
        yield_now();
    }
    unreachable!("there are always more attempts")
}

/// Polls a future up to three times, then drops it.
fn poll_few<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..fastrand::usize(0..4) {
        if let Poll::Ready(output) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return Some(output);
        }
        yield_now();
    }
    None
}
