//! Memory that goes from stack to stack (Go's `TestChanSendBarrier` and
//! `TestChanSendSelectBarrier`).
//!
//! Go checks that its garbage collector sees a pointer that a sender writes directly to the stack
//! of a receiver. Rust has no collector, so these tests check that such a pointer arrives intact,
//! and that the memory that it owns is freed once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use go_runtime::channel::{Receiver, Select, Sender, bounded, never};
use go_runtime::select;

use crate::Caller;

crate::for_all_callers!(
    directly,
    in_select,
    in_dynamic_select,
    what_is_not_received_is_dropped,
);

const OUTER: usize = 10;
const INNER: usize = 200;

/// A block of memory, and a count of the parcels that exist.
struct Parcel {
    number: usize,
    filling: Vec<usize>,
    alive: Arc<AtomicUsize>,
}

impl Parcel {
    fn new(number: usize, alive: &Arc<AtomicUsize>) -> Box<Parcel> {
        alive.fetch_add(1, Ordering::Relaxed);
        Box::new(Parcel {
            number,
            filling: vec![number; 1 + number % 128],
            alive: Arc::clone(alive),
        })
    }

    fn check(&self, number: usize) {
        assert_eq!(self.number, number);
        assert_eq!(self.filling, vec![number; 1 + number % 128]);
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

type Sending = fn(&Sender<Box<Parcel>>, Box<Parcel>);
type Receiving = fn(&Receiver<Box<Parcel>>) -> Box<Parcel>;

/// Sends parcels back and forth over rendezvous channels, between callers that deepen their stacks
/// and allocate memory in between.
fn exchange<C: Caller>(send: Sending, receive: Receiving) {
    let alive = Arc::new(AtomicUsize::new(0));
    let pairs: Vec<_> = (0..OUTER)
        .map(|_| {
            let alive = Arc::clone(&alive);
            C::start(move || {
                let (there, arrives) = bounded(0);
                let (back, returns) = bounded(0);
                let echo = C::start(move || {
                    for number in 0..INNER {
                        let parcel = deeper(number % 8, || receive(&arrives));
                        parcel.check(number);
                        send(&back, parcel);
                    }
                });
                for number in 0..INNER {
                    let parcel = Parcel::new(number, &alive);
                    deeper(number % 8, || send(&there, parcel));
                    let garbage = vec![usize::MAX; number % 64];
                    receive(&returns).check(number);
                    drop(garbage);
                }
                echo();
            })
        })
        .collect();
    pairs.into_iter().for_each(|end| end());
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

/// Calls `f` from a deeper frame of the stack.
#[inline(never)]
fn deeper<T>(levels: usize, f: impl FnOnce() -> T) -> T {
    fn descend(levels: usize, f: &mut dyn FnMut()) {
        let here = std::hint::black_box([levels; 32]);
        if levels == 0 {
            f();
        } else {
            descend(levels - 1, f);
        }
        assert_eq!(here, [levels; 32]);
    }
    let (mut f, mut result) = (Some(f), None);
    descend(levels, &mut || result = f.take().map(|f| f()));
    result.expect("it has been called")
}

fn directly<C: Caller>() {
    exchange::<C>(
        |tx, parcel| tx.send(parcel).expect("it is open"),
        |rx| rx.recv().expect("it is open"),
    );
}

fn in_select<C: Caller>() {
    exchange::<C>(
        |tx, parcel| {
            let never = never::<()>();
            select! {
                send(tx, parcel) -> result => result.expect("it is open"),
                recv(never) -> _ => unreachable!(),
            }
        },
        |rx| {
            let never = never::<()>();
            select! {
                recv(rx) -> parcel => parcel.expect("it is open"),
                recv(never) -> _ => unreachable!(),
            }
        },
    );
}

fn in_dynamic_select<C: Caller>() {
    exchange::<C>(
        |tx, parcel| {
            let never = never::<()>();
            let mut select = Select::new();
            select.recv(&never);
            select.send(tx);
            select.select().send(tx, parcel).expect("it is open");
        },
        |rx| {
            let never = never::<()>();
            let mut select = Select::new();
            select.recv(&never);
            select.recv(rx);
            select.select().recv(rx).expect("it is open")
        },
    );
}

fn what_is_not_received_is_dropped<C: Caller>() {
    for capacity in [0, 1, 100] {
        let alive = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = bounded(capacity);
        let senders: Vec<_> = (0..OUTER)
            .map(|number| {
                let (tx, alive) = (tx.clone(), Arc::clone(&alive));
                C::start(move || {
                    let parcel = Parcel::new(number, &alive);
                    if let Err(error) = tx.send(parcel) {
                        error.0.check(number);
                    }
                })
            })
            .collect();
        // Three parcels arrive, some may stay in the buffer, and some come back to their senders.
        for _ in 0..3 {
            let parcel = rx.recv().expect("it is open");
            parcel.check(parcel.number);
        }
        drop(rx);
        senders.into_iter().for_each(|end| end());
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    }
}
