//! Selects over many channels: every arm is served, with the message that is meant for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;

use go_runtime::channel::{Receiver, RecvError, Select, Sender, bounded};
use go_runtime::{go, select, spawn};

use go_tests::support;

fn channels<T>(count: usize, capacity: usize) -> (Vec<Sender<T>>, Vec<Receiver<T>>) {
    (0..count).map(|_| bounded(capacity)).unzip()
}

/// A select of 64 arms that returns the number of the chosen arm, and its message.
macro_rules! select_of_64 {
    ($rx:ident: $($i:literal)*) => {
        select! { $(recv($rx[$i]) -> message => ($i, message),)* }
    };
}

fn one_of_64(rx: &[Receiver<usize>]) -> (usize, Result<usize, RecvError>) {
    select_of_64!(rx:
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61
        62 63)
}

#[test]
fn the_macro_takes_64_arms() {
    support::in_both(|| {
        for capacity in [0, 1] {
            let (tx, rx) = channels(64, capacity);
            let senders: Vec<_> = (0..)
                .zip(tx)
                .map(|(i, tx)| go! { (0..10).for_each(|n| tx.send(i + 64 * n).unwrap()); tx })
                .collect();
            let mut got = HashSet::new();
            for _ in 0..640 {
                let (arm, message) = one_of_64(&rx);
                let message = message.unwrap();
                assert_eq!(message % 64, arm);
                assert!(got.insert(message));
            }
            // All channels are still open; now they are closed one after the other.
            let mut open: Vec<_> = senders.into_iter().map(|s| s.join().unwrap()).collect();
            drop(open.swap_remove(17));
            assert_eq!(one_of_64(&rx), (17, Err(RecvError)));
        }
    });
}

#[test]
fn a_list_takes_a_thousand_channels() {
    const COUNT: usize = 1_000;
    support::in_both(|| {
        let (tx, rx) = channels(COUNT, 0);
        let senders: Vec<_> = (0..)
            .zip(tx)
            .map(|(i, tx)| {
                go! {
                    tx.send(i).unwrap();
                    tx.send(i + COUNT).unwrap();
                }
            })
            .collect();
        let mut list = Select::new();
        for rx in &rx {
            list.recv(rx);
        }
        let (mut got, mut open) = (HashSet::new(), COUNT);
        while open > 0 {
            let operation = list.select();
            let index = operation.index();
            match operation.recv(&rx[index]) {
                Ok(message) => {
                    assert_eq!(message % COUNT, index);
                    assert!(got.insert(message));
                }
                Err(RecvError) => {
                    list.remove(index);
                    open -= 1;
                }
            }
        }
        assert_eq!(got.len(), 2 * COUNT);
        senders.into_iter().for_each(|s| s.join().unwrap());
    });
}

/// Two lists of a thousand arms, one sending and one receiving, meet on the same channels in
/// opposite orders, on two threads and in goroutines.
#[test]
fn two_wide_lists_meet() {
    const COUNT: usize = 1_000;
    const MESSAGES: usize = 300;
    let (tx, rx) = channels(COUNT, 0);
    let sending = move || {
        let mut list = Select::new();
        for tx in &tx {
            list.send(tx);
        }
        for n in 0..MESSAGES {
            let operation = list.select();
            let index = operation.index();
            operation.send(&tx[index], (index, n)).unwrap();
        }
    };
    let receiving = move || {
        let mut list = Select::new();
        for rx in rx.iter().rev() {
            list.recv(rx);
        }
        for n in 0..MESSAGES {
            let operation = list.select();
            let index = COUNT - 1 - operation.index();
            assert_eq!(operation.recv(&rx[index]), Ok((index, n)));
        }
    };
    let (sending, receiving) = (Arc::new(sending), Arc::new(receiving));
    let there = Arc::clone(&sending);
    let sender = thread::spawn(move || there());
    receiving();
    sender.join().unwrap();
    let (sender, receiver) = (spawn(move || sending()), spawn(move || receiving()));
    sender.join().unwrap();
    receiver.join().unwrap();
}
