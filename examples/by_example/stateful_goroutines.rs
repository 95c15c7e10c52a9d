//! State that one goroutine owns: other goroutines send it requests, which carry the channel for
//! the answer.
//!
//! Go: a struct with a `resp chan` for each kind of request. Here one enum has all kinds, so the
//! owner serves a single channel in a `match`, and ends when the last sender has been dropped.

use std::collections::HashMap;

use go_runtime::channel::{self, Receiver, Sender};
use go_runtime::go;

enum Request {
    Deposit { account: u32, amount: u64 },
    Balance { account: u32, answer: Sender<u64> },
}
use Request::{Balance, Deposit};

fn bank(requests: Receiver<Request>) -> usize {
    let mut accounts = HashMap::new();
    for request in requests {
        match request {
            Deposit { account, amount } => *accounts.entry(account).or_insert(0) += amount,
            Balance { account, answer } => {
                // If the requester no longer waits, the answer is dropped.
                let _ = answer.send(accounts.get(&account).copied().unwrap_or(0));
            }
        }
    }
    accounts.len()
}

fn balance(bank: &Sender<Request>, account: u32) -> u64 {
    let (answer, rx) = channel::bounded(1);
    bank.send(Balance { account, answer }).unwrap();
    rx.recv().unwrap()
}

#[go_runtime::main]
fn main() {
    let (tx, rx) = channel::bounded(0);
    let bank = go!(bank(rx));

    let customers = [1, 2, 3].map(|account| {
        go!(clone(tx) {
            for amount in 1..=100 {
                tx.send(Deposit { account, amount }).unwrap();
            }
            balance(&tx, account)
        })
    });
    println!("{:?}", customers.map(|customer| customer.join().unwrap()));

    println!("nobody has account 4: {}", balance(&tx, 4));
    drop(tx);
    println!("the bank closes with {} accounts", bank.join().unwrap());
}
