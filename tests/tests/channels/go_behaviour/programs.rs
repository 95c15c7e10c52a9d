//! Go's `test/chan`: doubleselect, fifo, goroutines and nonblock.

use std::array;
use std::cell::Cell;
use std::fmt::Debug;
use std::thread;

use go_runtime::channel::{Receiver, Sender, TryRecvError, TrySendError, bounded, unbounded};
use go_runtime::{go, select};

use go_tests::support::{eventually, in_both, in_goroutine, settle};

// --- doubleselect ---

/// One select sends to four channels, each received by two goroutines: every message goes through
/// one arm, and arrives once.
#[test]
fn doubleselect_sends_through_one_arm() {
    const COUNT: usize = 20_000;
    in_both(|| {
        let (merged, all) = bounded(0);
        let [a, b, c, d] = array::from_fn(|_| {
            let (tx, rx) = bounded::<usize>(0);
            for _ in 0..2 {
                go!(clone(rx, merged) { rx.iter().for_each(|n| merged.send(n).unwrap()) });
            }
            tx
        });
        drop(merged);
        let sending = go! {
            let mut ran = [0; 4];
            for n in 0..COUNT {
                select! {
                    send(a, n) -> sent => { sent.unwrap(); ran[0] += 1 }
                    send(b, n) -> sent => { sent.unwrap(); ran[1] += 1 }
                    send(c, n) -> sent => { sent.unwrap(); ran[2] += 1 }
                    send(d, n) -> sent => { sent.unwrap(); ran[3] += 1 }
                }
                assert_eq!(ran.iter().sum::<usize>(), n + 1);
            }
            ran
        };
        let mut seen = vec![0; COUNT];
        all.iter().for_each(|n| seen[n] += 1);
        assert!(seen.iter().all(|times| *times == 1));
        let ran = sending.join().unwrap();
        assert!(ran.iter().all(|times| *times > 0), "{ran:?}");
    });
}

/// The reverse: one select receives from four channels, each fed by two goroutines.
#[test]
fn doubleselect_receives_through_one_arm() {
    const EACH: usize = 2_500;
    in_both(|| {
        // The senders stay open: a closed channel would always be ready.
        let mut open = Vec::new();
        let [a, b, c, d] = array::from_fn(|channel| {
            let (tx, rx) = bounded::<usize>(0);
            for half in 0..2 {
                let base = (2 * channel + half) * EACH;
                go!(clone(tx) { (base..base + EACH).for_each(|n| tx.send(n).unwrap()) });
            }
            open.push(tx);
            rx
        });
        let mut seen = vec![0; 8 * EACH];
        for _ in 0..8 * EACH {
            // The message's channel tells which arm should have run.
            let (arm, n) = select! {
                recv(a) -> n => (0, n.unwrap()),
                recv(b) -> n => (1, n.unwrap()),
                recv(c) -> n => (2, n.unwrap()),
                recv(d) -> n => (3, n.unwrap()),
            };
            assert_eq!(arm, n / (2 * EACH));
            seen[n] += 1;
        }
        assert!(seen.iter().all(|times| *times == 1));
        drop(open);
        for rx in [a, b, c, d] {
            assert!(rx.recv().is_err(), "all senders are through");
        }
    });
}

// --- fifo ---

#[test]
fn fifo_in_a_buffer() {
    in_both(|| {
        for capacity in 1..=10 {
            let (tx, rx) = bounded(capacity);
            // The fill changes from round to round, so that the start of the buffer moves around
            // it.
            for round in 0..30 {
                let fill = round % capacity + 1;
                (0..fill).for_each(|n| tx.try_send((round, n)).unwrap());
                assert_eq!(rx.len(), fill);
                (0..fill).for_each(|n| assert_eq!(rx.recv(), Ok((round, n))));
                assert!(rx.is_empty());
            }
        }
    });
}

#[test]
fn fifo_with_one_sender() {
    in_both(|| {
        for capacity in [Some(0), Some(1), Some(7), None] {
            let (tx, rx) = capacity.map_or_else(unbounded, bounded);
            go! { (0..1_000).for_each(|n| tx.send(n).unwrap()) };
            assert!(rx.iter().eq(0..1_000));
        }
    });
}

/// Each sender sends when the one before it has sent: the messages arrive in this order, though all
/// senders wait from the start.
#[test]
fn fifo_with_a_chain_of_senders() {
    const SENDERS: usize = 1_000;
    in_both(|| {
        for capacity in [0, 3] {
            let (tx, rx) = bounded(capacity);
            let (begin, mut turn) = bounded::<()>(0);
            for n in 0..SENDERS {
                let (pass, next) = bounded(0);
                let before = std::mem::replace(&mut turn, next);
                go!(clone(tx) {
                    before.recv().unwrap();
                    tx.send(n).unwrap();
                    pass.send(()).unwrap();
                });
            }
            drop(tx);
            begin.send(()).unwrap();
            let last = go! { turn.recv().unwrap() };
            assert!(rx.iter().eq(0..SENDERS));
            last.join().unwrap();
        }
    });
}

#[test]
fn fifo_through_relays() {
    in_both(|| {
        let (tx, mut rx) = bounded(0);
        for link in 0..12 {
            let (out, next) = bounded(link % 4);
            let input = std::mem::replace(&mut rx, next);
            go! { input.iter().for_each(|n| out.send(n).unwrap()) };
        }
        go! { (0..2_000).for_each(|n| tx.send(n).unwrap()) };
        assert!(rx.iter().eq(0..2_000));
    });
}

// --- goroutines ---

/// A daisy chain of 10,000 goroutines: each adds one to the number from its right.
#[test]
fn goroutines_in_a_daisy_chain() {
    const LINKS: usize = 10_000;
    in_both(|| {
        let (last, mut rx) = bounded(0);
        for _ in 0..LINKS {
            let (left, next) = bounded(0);
            let right = std::mem::replace(&mut rx, next);
            // A block: if this were a single call, the caller would evaluate its argument, and
            // receive.
            go!({ left.send(right.recv().unwrap() + 1).unwrap() });
        }
        last.send(5).unwrap();
        assert_eq!(rx.recv(), Ok(LINKS + 5));
    });
}

// --- nonblock ---

/// Checks all operations that do not wait on a channel of `T`, in all its states. `make` returns
/// the same message for the same number.
fn nonblock<T>(make: fn(u8) -> T)
where
    T: PartialEq + Debug + Send + 'static,
{
    in_goroutine(move || {
        nobody_there(make);
        a_receiver_waits(make);
        a_sender_waits(make);
        for capacity in [Some(1), Some(3), None] {
            buffered(capacity, make);
        }
    });
}

fn refuses_to_send<T: PartialEq + Debug>(tx: &Sender<T>, make: fn(u8) -> T) {
    assert_eq!(tx.try_send(make(1)), Err(TrySendError::Full(make(1))));
    let made = Cell::new(0);
    let value = || {
        made.set(made.get() + 1);
        make(1)
    };
    select! {
        send(tx, value()) -> _ => panic!("there is no room"),
        default => {}
    }
    // In Go the value would have been evaluated on entering.
    assert_eq!(made.get(), 0);
}

fn refuses_to_receive<T: PartialEq + Debug>(rx: &Receiver<T>) {
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    select! {
        recv(rx) -> got => panic!("there is nothing: {got:?}"),
        default => {}
    }
}

fn nobody_there<T: PartialEq + Debug>(make: fn(u8) -> T) {
    let (tx, rx) = bounded(0);
    refuses_to_receive(&rx);
    refuses_to_send(&tx, make);
    tx.close();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
    select! { recv(rx) -> got => assert!(got.is_err()), default => panic!("closed is ready") }
    // Go panics here; this crate returns the message.
    assert_eq!(
        tx.try_send(make(1)),
        Err(TrySendError::Disconnected(make(1)))
    );
    select! {
        send(tx, make(2)) -> sent => assert_eq!(sent.unwrap_err().0, make(2)),
        default => panic!("closed is ready"),
    }
}

fn a_receiver_waits<T>(make: fn(u8) -> T)
where
    T: PartialEq + Debug + Send + 'static,
{
    let (tx, rx) = bounded(0);
    let receive = |in_select: bool| {
        let waiting = go!(local; clone(rx) {
            if in_select { select! { recv(rx) -> got => got } } else { rx.recv() }
        });
        settle();
        waiting
    };
    for in_select in [false, true] {
        let waiting = receive(in_select);
        assert_eq!(tx.try_send(make(3)), Ok(()));
        assert_eq!(waiting.join().unwrap(), Ok(make(3)));
        let waiting = receive(in_select);
        select! { send(tx, make(4)) -> sent => sent.unwrap(), default => panic!("one waits") }
        assert_eq!(waiting.join().unwrap(), Ok(make(4)));
        refuses_to_send(&tx, make);
    }
}

fn a_sender_waits<T>(make: fn(u8) -> T)
where
    T: PartialEq + Debug + Send + 'static,
{
    let (tx, rx) = bounded(0);
    let send = |in_select: bool| {
        let waiting = go!(local; clone(tx) {
            if in_select { select! { send(tx, make(5)) -> sent => sent } } else { tx.send(make(5)) }
        });
        settle();
        waiting
    };
    for in_select in [false, true] {
        let waiting = send(in_select);
        assert_eq!(rx.try_recv(), Ok(make(5)));
        assert_eq!(waiting.join().unwrap(), Ok(()));
        let waiting = send(in_select);
        select! { recv(rx) -> got => assert_eq!(got, Ok(make(5))), default => panic!("one waits") }
        assert_eq!(waiting.join().unwrap(), Ok(()));
        refuses_to_receive(&rx);
    }
}

fn buffered<T: PartialEq + Debug>(capacity: Option<usize>, make: fn(u8) -> T) {
    let (tx, rx) = capacity.map_or_else(unbounded, bounded);
    refuses_to_receive(&rx);
    let fill = capacity.unwrap_or(5) as u8;
    for n in 0..fill {
        if n % 2 == 0 {
            assert_eq!(tx.try_send(make(n)), Ok(()));
        } else {
            select! {
                send(tx, make(n)) -> sent => sent.unwrap(),
                default => panic!("there is room"),
            }
        }
    }
    if capacity.is_some() {
        refuses_to_send(&tx, make);
    }
    for n in 0..fill {
        if n % 2 == 0 {
            assert_eq!(rx.try_recv(), Ok(make(n)));
        } else {
            select! {
                recv(rx) -> got => assert_eq!(got, Ok(make(n))),
                default => panic!("not empty"),
            }
        }
    }
    refuses_to_receive(&rx);
}

#[test]
fn nonblock_on_channels_of_all_kinds() {
    nonblock(|n| n);
    nonblock(|n| i64::from(n) << 40);
    nonblock(|n| f64::from(n) / 3.0);
    nonblock(|n| n % 2 == 0);
    nonblock(|n| n.to_string());
    nonblock(|n| vec![n; 3]);
    nonblock(|n| Some(Box::new(n)));
    nonblock(|n| [n; 500]);
    nonblock(|_| ());
}

/// The partner blocks on another thread at an unknown time: an attempt succeeds once the partner
/// waits, and only once.
#[test]
fn nonblock_with_a_thread_as_partner() {
    in_both(|| {
        for n in 0..200 {
            let (tx, rx) = bounded(0);
            let waiting = thread::spawn(move || rx.recv());
            eventually(|| tx.try_send(n).is_ok());
            assert_eq!(waiting.join().unwrap(), Ok(n));
            assert!(tx.try_send(n).is_err());

            let (tx, rx) = bounded(0);
            let waiting = thread::spawn(move || tx.send(n));
            let mut got = None;
            eventually(|| {
                got = rx.try_recv().ok();
                got.is_some()
            });
            assert_eq!((got, waiting.join().unwrap()), (Some(n), Ok(())));
            assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
        }
    });
}
