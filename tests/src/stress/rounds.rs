//! Rounds of messages on channels with several senders and receivers.

use std::sync::Arc;
use std::thread;

use go_runtime::channel::{Receiver, Sender, bounded, unbounded};
use go_runtime::yield_now;

use super::ledger::{Ledger, Message};
use super::workers::{WAYS, Way, receive, send};

/// A kind of channel.
#[derive(Clone, Copy, Debug)]
pub enum Flavor {
    /// `bounded(n)`; 0 is a rendezvous.
    Bounded(usize),
    /// `unbounded()`.
    Unbounded,
}

/// How a round ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The senders have sent everything, and are dropped.
    Drained,
    /// A thread closes the channel in the middle of the round.
    Closed,
    /// The receivers are dropped in the middle of the round.
    Abandoned,
}

/// Number of senders, and number of receivers, in a round.
const SIDE: usize = 4;

/// Sends at least `messages` in rounds of up to `round` messages, and checks the account of each
/// round. Returns a summary for people.
pub fn run(flavor: Flavor, messages: usize, round: usize) -> String {
    let (mut made, mut received, mut rounds) = (0, 0, 0);
    while made < messages {
        for end in [End::Drained, End::Closed, End::Abandoned] {
            let (more, arrived) = one_round(flavor, end, round);
            made += more;
            received += arrived;
            rounds += 1;
        }
    }
    format!(
        "{flavor:?}: {made} messages in {rounds} rounds, {received} received, all accounted for"
    )
}

fn one_round(flavor: Flavor, end: End, messages: usize) -> (usize, usize) {
    let (tx, rx) = match flavor {
        Flavor::Bounded(capacity) => bounded(capacity),
        Flavor::Unbounded => unbounded(),
    };
    let ledger = Ledger::new(messages);
    let idle = Arc::new(bounded(0));
    let ways: Vec<Way> = (0..2 * SIDE)
        .map(|_| WAYS[fastrand::usize(..WAYS.len())])
        .collect();
    let (sending, receiving) = ways.split_at(SIDE);
    let mut hands = Vec::new();
    for (i, &way) in sending.iter().enumerate() {
        let (tx, idle, ledger) = (tx.clone(), Arc::clone(&idle), Arc::clone(&ledger));
        hands.push(start(i, way, move || send(way, &tx, &idle, &ledger)));
    }
    for (i, &way) in receiving.iter().enumerate() {
        let (rx, idle) = (rx.clone(), Arc::clone(&idle));
        hands.push(start(i, way, move || {
            receive_in_turns(way, rx, &idle, end, messages)
        }));
    }
    if end == End::Closed {
        let tx = tx.clone();
        let after = fastrand::usize(..messages);
        hands.push(start(0, Way::Plain, move || close_later(&tx, after)));
    }
    drop(tx);
    if end == End::Abandoned {
        drop(rx);
        join(hands);
    } else {
        join(hands);
        // Messages that dropped futures gave back after all receivers had ended.
        rx.try_iter().for_each(Message::receive);
    }
    // Abandoned channels keep their messages, so these may be lost.
    ledger.close(end == End::Abandoned)
}

/// Replaces the receivers now and then: one clone is dropped, another is created.
fn receive_in_turns(
    way: Way,
    mut rx: Receiver<Message>,
    idle: &(Sender<Message>, Receiver<Message>),
    end: End,
    messages: usize,
) {
    let mut rest = match end {
        End::Abandoned => fastrand::usize(..messages / SIDE),
        End::Drained | End::Closed => usize::MAX,
    };
    while rest > 0 {
        let turn = fastrand::usize(1..=100).min(rest);
        if receive(way, &rx, idle, turn) < turn {
            return;
        }
        rest -= turn;
        let next = rx.clone();
        rx = next;
    }
}

fn close_later(tx: &Sender<Message>, after: usize) {
    // The progress of the other callers decides when the channel is closed.
    for _ in 0..after / 8 {
        yield_now();
    }
    tx.close();
}

/// Starts a thread or a goroutine. `block_on` of the futures crate blocks its thread, so it gets a
/// thread.
fn start(index: usize, way: Way, run: impl FnOnce() + Send + 'static) -> Hand {
    if index == 0 || matches!(way, Way::Future) {
        Hand::Thread(thread::spawn(run))
    } else {
        Hand::Goroutine(go_runtime::spawn(run))
    }
}

enum Hand {
    Thread(thread::JoinHandle<()>),
    Goroutine(go_runtime::JoinHandle<()>),
}

fn join(hands: Vec<Hand>) {
    for hand in hands {
        match hand {
            Hand::Thread(thread) => thread.join().unwrap(),
            Hand::Goroutine(goroutine) => goroutine.join().unwrap(),
        }
    }
}
