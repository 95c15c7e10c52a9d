//! Go's `test/chan`: sieve1, a chain of filters, and sieve2, which merges the multiples of all
//! primes in a heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use go_runtime::channel::{Receiver, Sender, bounded, unbounded};
use go_runtime::go;

use go_tests::support::in_both;

/// Returns the first primes, found without goroutines.
fn first_primes(count: usize) -> Vec<u64> {
    let mut primes: Vec<u64> = Vec::new();
    let is_next = |primes: &[u64], n: u64| primes.iter().all(|prime| !n.is_multiple_of(*prime));
    for n in 2.. {
        if primes.len() == count {
            break;
        }
        if is_next(&primes, n) {
            primes.push(n);
        }
    }
    primes
}

/// Sends the numbers until the receiver is dropped.
fn send_all(numbers: impl Iterator<Item = u64>, tx: &Sender<u64>) {
    for n in numbers {
        if tx.send(n).is_err() {
            return;
        }
    }
}

// --- sieve1 ---

/// The links of the chain are those of the example program. `programs.rs` tests the program itself;
/// here its chain also runs with buffered channels, and from a thread.
#[path = "../../../../examples/sieve.rs"]
#[allow(dead_code, reason = "only the links of the chain are used")]
mod program;

/// Each prime adds a filter to the chain. All links end once the last receiver is dropped.
#[test]
fn sieve1() {
    const COUNT: usize = 150;
    in_both(|| {
        for capacity in [0, 4] {
            let (tx, mut rx) = bounded(capacity);
            let mut chain = vec![go!(program::generate(tx))];
            let mut primes = Vec::new();
            while primes.len() < COUNT {
                let prime = rx.recv().unwrap();
                primes.push(u64::from(prime));
                let (tx, next) = bounded(capacity);
                chain.push(go!(program::filter(rx, tx, prime)));
                rx = next;
            }
            assert_eq!(primes, first_primes(COUNT));
            drop(rx);
            chain.into_iter().for_each(|link| link.join().unwrap());
        }
    });
}

// --- sieve2 ---

/// A stream of rising numbers whose next number, `head`, is known.
struct Stream {
    head: u64,
    rest: Receiver<u64>,
}

/// Starts a goroutine that sends the odd multiples of an odd prime, from its square on.
fn multiples(prime: u64) -> Stream {
    let (tx, rest) = bounded(2);
    go!({ send_all((prime * prime..).step_by(2 * prime as usize), &tx) });
    Stream {
        head: prime * prime,
        rest,
    }
}

/// Sends all odd multiples of the known primes, each once, in rising order. New primes come in
/// meanwhile.
fn composites(primes: Receiver<u64>, tx: Sender<u64>) {
    // The streams are in a vector, so that the heap holds and compares only their heads.
    let (mut streams, mut heap) = (Vec::<Stream>::new(), BinaryHeap::new());
    let mut coming = multiples(primes.recv().unwrap());
    coming.head = coming.rest.recv().unwrap();
    loop {
        // A stream is needed from its prime's square on; later streams begin with larger squares.
        while heap
            .peek()
            .is_none_or(|Reverse((head, _))| coming.head <= *head)
        {
            heap.push(Reverse((coming.head, streams.len())));
            streams.push(coming);
            let Ok(prime) = primes.recv() else { return };
            coming = multiples(prime);
            assert_eq!(coming.rest.recv(), Ok(coming.head));
        }
        let Reverse((least, _)) = *heap.peek().unwrap();
        if tx.send(least).is_err() {
            return;
        }
        while let Some(Reverse((head, i))) = heap.peek().copied()
            && head == least
        {
            heap.pop();
            streams[i].head = streams[i].rest.recv().unwrap();
            heap.push(Reverse((streams[i].head, i)));
        }
    }
}

/// Sends the primes: 2, and the odd numbers that are not multiples of earlier primes.
fn primes(tx: Sender<u64>) {
    // The composites lag behind: the primes that they need next were found long before, and wait in
    // this channel.
    let (found, known) = unbounded();
    let (merged, composite) = bounded(0);
    go!(composites(known, merged));
    send_all([2, 3, 5, 7].into_iter(), &tx);
    for prime in [3, 5, 7] {
        found.send(prime).unwrap();
    }
    let mut least = composite.recv().unwrap();
    for n in (9..).step_by(2) {
        if n == least {
            least = composite.recv().unwrap();
        } else {
            found.send(n).unwrap();
            if tx.send(n).is_err() {
                return;
            }
        }
    }
}

#[test]
fn sieve2() {
    const COUNT: usize = 1_000;
    in_both(|| {
        let (tx, rx) = bounded(0);
        let working = go!(primes(tx));
        let found: Vec<u64> = rx.iter().take(COUNT).collect();
        assert_eq!(found, first_primes(COUNT));
        drop(rx);
        working.join().unwrap();
    });
}
