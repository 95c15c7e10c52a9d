//! The order that a channel establishes (Go's `runtime/race/testdata/chan_test.go`, and *The Go
//! Memory Model*).
//!
//! Go runs these tests under its race detector. Here the only accesses besides the channels are
//! relaxed loads and stores, which order nothing: a reader sees an earlier write only if the
//! channel orders the two.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use go_runtime::channel::{Receiver, Select, Sender, bounded, unbounded};
use go_runtime::select;

use crate::Caller;

crate::for_all_callers!(
    a_send_comes_before_its_receive,
    a_receive_comes_before_the_end_of_its_send,
    a_receive_comes_before_the_send_that_it_makes_room_for,
    closing_comes_before_who_sees_it,
    the_end_of_a_select_comes_after_its_partner,
    a_channel_is_a_lock,
    a_full_channel_counts,
);

const ROUNDS: usize = 500;

/// A variable whose accesses establish no order by themselves.
type Variable = Arc<AtomicUsize>;

fn make(capacity: Option<usize>) -> (Sender<()>, Receiver<()>) {
    capacity.map_or_else(unbounded, bounded)
}

/// One side writes and then calls `first`; the other side calls `second` and then reads.
fn in_order<C: Caller>(
    first: impl FnOnce() + Send + 'static,
    second: impl FnOnce() + Send + 'static,
    round: usize,
) {
    let variable = Variable::default();
    let written = Arc::clone(&variable);
    let writer = C::start(move || {
        written.store(round + 1, Relaxed);
        first();
    });
    second();
    assert_eq!(variable.load(Relaxed), round + 1);
    writer();
}

fn a_send_comes_before_its_receive<C: Caller>() {
    for capacity in [Some(0), Some(1), Some(10), None] {
        for round in 0..ROUNDS {
            let (tx, rx) = make(capacity);
            let send = move || tx.send(()).expect("it is open");
            let receive = move || rx.recv().expect("it is open");
            in_order::<C>(send, receive, round);
        }
    }
}

/// A receive comes before the end of its send, on a channel without a buffer.
fn a_receive_comes_before_the_end_of_its_send<C: Caller>() {
    for round in 0..ROUNDS {
        let (tx, rx) = make(Some(0));
        let send = move || tx.send(()).expect("it is open");
        let receive = move || rx.recv().expect("it is open");
        in_order::<C>(receive, send, round);
    }
}

/// Receive k comes before the end of send k + capacity.
fn a_receive_comes_before_the_send_that_it_makes_room_for<C: Caller>() {
    for capacity in [1, 3] {
        for round in 0..ROUNDS {
            let (tx, rx) = make(Some(capacity));
            (0..capacity).for_each(|_| tx.send(()).expect("there is room"));
            let other = rx.clone();
            let receive = move || other.recv().expect("it is open");
            let send = move || tx.send(()).expect("it is open");
            in_order::<C>(receive, send, round);
            drop(rx);
        }
    }
}

fn closing_comes_before_who_sees_it<C: Caller>() {
    let observers: [fn(Receiver<()>); 3] = [
        |rx| assert!(rx.recv().is_err()),
        |rx| select! { recv(rx) -> message => assert!(message.is_err()) },
        |rx| {
            let mut select = Select::new();
            select.recv(&rx);
            assert!(select.select().recv(&rx).is_err());
        },
    ];
    for observe in observers {
        for capacity in [Some(0), Some(1), None] {
            for round in 0..ROUNDS {
                let (tx, rx) = make(capacity);
                in_order::<C>(move || tx.close(), move || observe(rx), round);
                let (tx, rx) = make(capacity);
                in_order::<C>(move || drop(tx), move || observe(rx), round);
            }
        }
    }
    // Not one of Go's tests, as Go's channels have no ends: a sender sees that the receivers are
    // gone.
    for round in 0..ROUNDS {
        let (tx, rx) = make(Some(0));
        in_order::<C>(
            move || drop(rx),
            move || assert!(tx.send(()).is_err()),
            round,
        );
    }
}

/// The order holds on either of the two channels on which the two selects may meet.
fn the_end_of_a_select_comes_after_its_partner<C: Caller>() {
    for round in 0..ROUNDS {
        let (tx, rx) = make(Some(0));
        let (other_tx, other_rx) = make(Some(0));
        let send = move || {
            select! {
                send(tx, ()) -> result => result.expect("it is open"),
                recv(other_rx) -> message => message.expect("it is open"),
            }
        };
        let receive = move || {
            let mut select = Select::new();
            let receive = select.recv(&rx);
            select.send(&other_tx);
            let operation = select.select();
            if operation.index() == receive {
                operation.recv(&rx).expect("it is open");
            } else {
                operation.send(&other_tx, ()).expect("it is open");
            }
        };
        if round % 2 == 0 {
            in_order::<C>(send, receive, round);
        } else {
            in_order::<C>(receive, send, round);
        }
    }
}

/// Several callers load a variable and then store it; no update is lost if only one caller at a
/// time is between its load and its store.
fn a_channel_is_a_lock<C: Caller>() {
    const CALLERS: usize = 4;
    // The slot of the buffer is the lock: it is held from the send to the receive, or the other way
    // round.
    for full_is_open in [false, true] {
        let (tx, rx) = make(Some(1));
        if full_is_open {
            tx.send(()).expect("there is room");
        }
        let counter = Variable::default();
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (tx, rx, counter) = (tx.clone(), rx.clone(), Arc::clone(&counter));
                C::start(move || {
                    let send = || tx.send(()).expect("it is open");
                    let receive = || rx.recv().expect("it is open");
                    for _ in 0..ROUNDS {
                        if full_is_open {
                            receive()
                        } else {
                            send()
                        }
                        counter.store(counter.load(Relaxed) + 1, Relaxed);
                        if full_is_open { send() } else { receive() }
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|end| end());
        assert_eq!(counter.load(Relaxed), CALLERS * ROUNDS);
    }
}

/// A buffer of three admits no more than three callers.
fn a_full_channel_counts<C: Caller>() {
    const LIMIT: usize = 3;
    let (enter, leave) = make(Some(LIMIT));
    let inside = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (enter, leave, inside) = (enter.clone(), leave.clone(), Arc::clone(&inside));
            C::start(move || {
                for _ in 0..ROUNDS {
                    enter.send(()).expect("it is open");
                    assert!(inside.fetch_add(1, Relaxed) < LIMIT);
                    go_runtime::yield_now();
                    inside.fetch_sub(1, Relaxed);
                    leave.recv().expect("it is open");
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|end| end());
}
