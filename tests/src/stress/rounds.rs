//! Rounds of messages on channels that senders feed.

use std::sync::Arc;
use std::thread;

use go_runtime::channel::{Receiver, Sender, bounded, unbounded};
use go_runtime::yield_now;

use super::ledger::{Ledger, Message};
use super::workers::{WAYS, Way, receive, send};

/// A kind of channel.
#[derive(Clone, Copy, Debug)]
pub enum Flavour {
    /// `bounded(n)`; 0 is a rendezvous.
    Bounded(usize),
    /// `unbounded()`.
    Unbounded,
}

/// How a round ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The senders have sent everything and go.
    Drained,
    /// Somebody closes the channel in the midst of it.
    Closed,
    /// The receivers go in the midst of it.
    Abandoned,
}

/// How many senders, and how many receivers, there are in a round.
const SIDE: usize = 4;

/// Sends at least `messages` in rounds of up to `round`, and checks the account of each. Returns
/// what happened, for people.
pub fn run(flavour: Flavour, messages: usize, round: usize) -> String {
    let (mut made, mut received, mut rounds) = (0, 0, 0);
    while made < messages {
        for end in [End::Drained, End::Closed, End::Abandoned] {
            let (more, arrived) = one_round(flavour, end, round);
            made += more;
            received += arrived;
            rounds += 1;
        }
    }
    format!(
        "{flavour:?}: {made} messages in {rounds} rounds, {received} received, all accounted for"
    )
}

fn one_round(flavour: Flavour, end: End, messages: usize) -> (usize, usize) {
    let (tx, rx) = match flavour {
        Flavour::Bounded(capacity) => bounded(capacity),
        Flavour::Unbounded => unbounded(),
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
        // What dropped futures gave back when everybody had gone.
        rx.try_iter().for_each(Message::receive);
    }
    // Who abandons a channel leaves what is in it.
    ledger.close(end == End::Abandoned)
}

/// The receivers change hands now and then: one clone goes, another comes.
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
    // Progress is what others make; their speed decides when it is closed.
    for _ in 0..after / 8 {
        yield_now();
    }
    tx.close();
}

/// A thread or a goroutine. `block_on` of the futures crate blocks its thread, so it gets one.
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
