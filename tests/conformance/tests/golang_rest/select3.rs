//! Which operations wait on which channels (Go's `test/chan/select3.go`).
//!
//! Operations that would wait are recognized by their forms that do not wait: `try_`, a timeout
//! that has passed, `select!` with `default`, and a dynamic `Select`. The tests then check that the
//! waiting forms continue when, and only after, another caller does the other half.

use std::time::{Duration, Instant};

use go_runtime::channel::{
    Receiver, RecvError, RecvTimeoutError, Select, SendError, SendTimeoutError, Sender,
    TryRecvError, TrySendError, after, bounded, never, unbounded,
};
use go_runtime::select;

use crate::Caller;

crate::for_all_callers!(
    receiving,
    sending,
    receiving_in_turn,
    sending_in_turn,
    selecting_from_several,
    waiting_for_nothing,
);

/// The outcome of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The operation would wait.
    Waits,
    /// The operation receives this message, or sends the given one.
    Goes(i32),
    /// The channel is closed.
    Closed,
}
use Outcome::{Closed, Goes, Waits};

fn received(result: Result<i32, RecvError>) -> Outcome {
    result.map_or(Closed, Goes)
}

/// Returns the outcome of a send. A message that is not sent has to come back.
fn sent(result: Result<(), SendError<i32>>) -> Outcome {
    match result {
        Ok(()) => Goes(MESSAGE),
        Err(SendError(MESSAGE)) => Closed,
        Err(SendError(other)) => panic!("{other} was not the message"),
    }
}

const MESSAGE: i32 = 7;

/// Receives once from each of several equal channels, in every possible way.
fn check_receiving(what: &str, make: impl Fn() -> Receiver<i32>, expected: Outcome) {
    let rx = make();
    let outcome = match rx.try_recv() {
        Ok(message) => Goes(message),
        Err(TryRecvError::Empty) => Waits,
        Err(TryRecvError::Disconnected) => Closed,
    };
    assert_eq!(outcome, expected, "{what}: try_recv");

    for limited in [
        |rx: &Receiver<i32>| rx.recv_timeout(Duration::ZERO),
        |rx: &Receiver<i32>| rx.recv_deadline(Instant::now()),
    ] {
        let outcome = match limited(&make()) {
            Ok(message) => Goes(message),
            Err(RecvTimeoutError::Timeout) => Waits,
            Err(RecvTimeoutError::Disconnected) => Closed,
        };
        assert_eq!(outcome, expected, "{what}: with a time that is over");
    }

    let rx = make();
    let outcome = select! { recv(rx) -> message => received(message), default => Waits };
    assert_eq!(outcome, expected, "{what}: with default");

    let rx = make();
    let outcome = select! {
        recv(rx) -> message => received(message),
        default(Duration::ZERO) => Waits,
    };
    assert_eq!(outcome, expected, "{what}: with a default that is due");

    let rx = make();
    let mut select = Select::new();
    let index = select.recv(&rx);
    assert_eq!(
        select.try_ready().ok(),
        (expected != Waits).then_some(index),
        "{what}: try_ready"
    );
    let outcome = match select.try_select() {
        Ok(operation) => received(operation.recv(&rx)),
        Err(_) => Waits,
    };
    assert_eq!(outcome, expected, "{what}: try_select");

    if expected != Waits {
        assert_eq!(received(make().recv()), expected, "{what}: recv");
        assert_eq!(
            make().iter().next().map_or(Closed, Goes),
            expected,
            "{what}: iter"
        );
        let rx = make();
        let outcome = select! { recv(rx) -> message => received(message) };
        assert_eq!(outcome, expected, "{what}: select");
    }
}

/// Sends once to each of several equal channels, in every possible way. The second value that
/// `make` returns keeps the channel in its state.
fn check_sending<K>(what: &str, make: impl Fn() -> (Sender<i32>, K), expected: Outcome) {
    let (tx, _keep) = make();
    let outcome = match tx.try_send(MESSAGE) {
        Ok(()) => Goes(MESSAGE),
        Err(TrySendError::Full(MESSAGE)) => Waits,
        Err(TrySendError::Disconnected(MESSAGE)) => Closed,
        Err(other) => panic!("not the message: {other:?}"),
    };
    assert_eq!(outcome, expected, "{what}: try_send");

    for limited in [
        |tx: &Sender<i32>| tx.send_timeout(MESSAGE, Duration::ZERO),
        |tx: &Sender<i32>| tx.send_deadline(MESSAGE, Instant::now()),
    ] {
        let (tx, _keep) = make();
        let outcome = match limited(&tx) {
            Ok(()) => Goes(MESSAGE),
            Err(SendTimeoutError::Timeout(MESSAGE)) => Waits,
            Err(SendTimeoutError::Disconnected(MESSAGE)) => Closed,
            Err(other) => panic!("not the message: {other:?}"),
        };
        assert_eq!(outcome, expected, "{what}: with a time that is over");
    }

    let (tx, _keep) = make();
    let outcome = select! { send(tx, MESSAGE) -> result => sent(result), default => Waits };
    assert_eq!(outcome, expected, "{what}: with default");

    let (tx, _keep) = make();
    let outcome = select! {
        send(tx, MESSAGE) -> result => sent(result),
        default(Duration::ZERO) => Waits,
    };
    assert_eq!(outcome, expected, "{what}: with a default that is due");

    let (tx, _keep) = make();
    let mut select = Select::new();
    let index = select.send(&tx);
    assert_eq!(
        select.try_ready().ok(),
        (expected != Waits).then_some(index),
        "{what}: try_ready"
    );
    let outcome = match select.try_select() {
        Ok(operation) => sent(operation.send(&tx, MESSAGE)),
        Err(_) => Waits,
    };
    assert_eq!(outcome, expected, "{what}: try_select");

    if expected != Waits {
        let (tx, _keep) = make();
        assert_eq!(sent(tx.send(MESSAGE)), expected, "{what}: send");
        let (tx, _keep) = make();
        let outcome = select! { send(tx, MESSAGE) -> result => sent(result) };
        assert_eq!(outcome, expected, "{what}: select");
    }
}

/// Returns a channel with these messages, whose sender is never dropped.
fn open(capacity: Option<usize>, messages: &[i32]) -> (Sender<i32>, Receiver<i32>) {
    let (tx, rx) = capacity.map_or_else(unbounded, bounded);
    for message in messages {
        tx.try_send(*message).expect("there is room");
    }
    (tx, rx)
}

fn receiving<C: Caller>() {
    let kept = std::cell::RefCell::new(Vec::new());
    let open = |capacity, messages: &[i32]| {
        let (tx, rx) = open(capacity, messages);
        kept.borrow_mut().push(tx);
        rx
    };
    let closed = |capacity, messages: &[i32]| {
        let (tx, rx) = self::open(capacity, messages);
        tx.close();
        rx
    };
    check_receiving("nil", never, Waits);
    check_receiving("rendezvous", || open(Some(0), &[]), Waits);
    check_receiving("empty", || open(Some(2), &[]), Waits);
    check_receiving("half full", || open(Some(2), &[1]), Goes(1));
    check_receiving("full", || open(Some(2), &[1, 2]), Goes(1));
    check_receiving("unbounded, empty", || open(None, &[]), Waits);
    check_receiving("unbounded", || open(None, &[1, 2]), Goes(1));
    check_receiving("closed rendezvous", || closed(Some(0), &[]), Closed);
    check_receiving("closed", || closed(Some(2), &[]), Closed);
    check_receiving(
        "closed, with messages",
        || closed(Some(2), &[1, 2]),
        Goes(1),
    );
    check_receiving("closed unbounded", || closed(None, &[]), Closed);
    check_receiving(
        "closed unbounded, with messages",
        || closed(None, &[1]),
        Goes(1),
    );
}

fn sending<C: Caller>() {
    // A rendezvous channel from which nothing is received stands for Go's nil channel.
    check_sending("rendezvous", || open(Some(0), &[]), Waits);
    check_sending("empty", || open(Some(2), &[]), Goes(MESSAGE));
    check_sending("half full", || open(Some(2), &[1]), Goes(MESSAGE));
    check_sending("full", || open(Some(2), &[1, 2]), Waits);
    check_sending("unbounded", || open(None, &[1, 2]), Goes(MESSAGE));
    // In Go these sends panic.
    for capacity in [Some(0), Some(2), None] {
        let closed = || {
            let (tx, rx) = open(capacity, &[]);
            tx.close();
            (tx, rx)
        };
        check_sending("closed", closed, Closed);
        // Not one of Go's cases, as Go's channels have no ends.
        check_sending("without receivers", || (open(capacity, &[]).0, ()), Closed);
    }
    let full_and_closed = || {
        let (tx, rx) = open(Some(2), &[1, 2]);
        tx.close();
        (tx, rx)
    };
    check_sending("full and closed", full_and_closed, Closed);
}

/// A waiting receive gets a message that is sent after it has begun, in each of its forms.
fn receiving_in_turn<C: Caller>() {
    let forms: [fn(&Receiver<i32>) -> Outcome; 4] = [
        |rx| received(rx.recv()),
        |rx| select! { recv(rx) -> message => received(message) },
        |rx| {
            let never = never::<()>();
            select! { recv(rx) -> message => received(message), recv(never) -> _ => Waits }
        },
        |rx| {
            let mut select = Select::new();
            select.recv(rx);
            received(select.select().recv(rx))
        },
    ];
    for form in forms {
        for capacity in [Some(0), Some(1), None] {
            let (tx, rx) = open(capacity, &[]);
            let (entered, enters) = bounded(0);
            let other = rx.clone();
            let waits = C::start(move || {
                entered.send(()).expect("somebody waits for it");
                form(&other)
            });
            enters.recv().expect("it enters");
            tx.send(MESSAGE).expect("it is open");
            assert_eq!(waits(), Goes(MESSAGE));

            let other = rx.clone();
            let waits = C::start(move || form(&other));
            drop(tx);
            assert_eq!(waits(), Closed);
        }
    }
}

/// A waiting send ends when its message, or the message before it, is received.
fn sending_in_turn<C: Caller>() {
    let forms: [fn(&Sender<i32>) -> Outcome; 4] = [
        |tx| sent(tx.send(MESSAGE)),
        |tx| select! { send(tx, MESSAGE) -> result => sent(result) },
        |tx| {
            let never = never::<()>();
            select! { send(tx, MESSAGE) -> result => sent(result), recv(never) -> _ => Waits }
        },
        |tx| {
            let mut select = Select::new();
            select.send(tx);
            sent(select.select().send(tx, MESSAGE))
        },
    ];
    for form in forms {
        for (capacity, messages) in [(0, &[][..]), (1, &[1][..]), (3, &[1, 2, 3][..])] {
            let (tx, rx) = open(Some(capacity), messages);
            let other = tx.clone();
            let waits = C::start(move || form(&other));
            // The pending send's message arrives last, whether or not the sender is waiting yet.
            for message in messages.iter().copied().chain([MESSAGE]) {
                assert_eq!(rx.recv(), Ok(message));
            }
            assert_eq!(waits(), Goes(MESSAGE));

            let (tx, rx) = open(Some(capacity), messages);
            let waits = C::start(move || form(&tx));
            drop(rx);
            assert_eq!(waits(), Closed);
        }
    }
}

/// A select skips an arm that would wait, and takes one that is ready.
fn selecting_from_several<C: Caller>() {
    let nil = never::<i32>();
    let (_tx, empty) = open(Some(1), &[]);
    let (full, _rx) = open(Some(1), &[1]);
    let (rendezvous, _rx) = open(Some(0), &[]);
    for _ in 0..100 {
        let (tx, rx) = open(Some(1), &[]);
        let chosen = select! {
            recv(nil) -> _ => "nil",
            recv(empty) -> _ => "empty",
            send(full, 0) -> _ => "full",
            send(rendezvous, 0) -> _ => "rendezvous",
            recv(rx) -> _ => "the other side",
            send(tx, MESSAGE) -> _ => "goes",
        };
        assert_eq!((chosen, rx.try_recv()), ("goes", Ok(MESSAGE)));

        tx.close();
        let chosen = select! {
            recv(nil) -> _ => "nil",
            recv(empty) -> _ => "empty",
            send(full, 0) -> _ => "full",
            send(rendezvous, 0) -> _ => "rendezvous",
            recv(rx) -> message => message.map_or("closed", |_| "a message"),
        };
        assert_eq!(chosen, "closed");
    }
    // A select meets the other side of a rendezvous, but never itself.
    let (tx, rx) = bounded(0);
    let chosen = select! {
        send(tx, MESSAGE) -> _ => "sent",
        recv(rx) -> _ => "received",
        default => "alone",
    };
    assert_eq!(chosen, "alone");
    let other = C::start(move || select! { send(tx, MESSAGE) -> result => sent(result) });
    let message = select! { recv(rx) -> message => received(message), recv(nil) -> _ => Waits };
    assert_eq!((message, other()), (Goes(MESSAGE), Goes(MESSAGE)));
}

/// An operation that can never continue does not disturb other goroutines. (Go's `select {}`, and
/// operations only on nil channels, end only with the program.)
fn waiting_for_nothing<C: Caller>() {
    let (tx, rx) = bounded::<i32>(0);
    let forms: [fn(); 3] = [
        || {
            let _ = never::<()>().recv();
        },
        || {
            let nil = never::<()>();
            select! { recv(nil) -> _ => {} }
        },
        || select! {},
    ];
    for form in forms {
        let tx = tx.clone();
        // This goroutine waits forever, and keeps its sender.
        drop(C::start(move || {
            form();
            let _ = tx.send(0);
        }));
    }
    drop(tx);
    let timer = after(Duration::from_millis(1));
    select! {
        recv(rx) -> message => panic!("one went on: {message:?}"),
        recv(timer) -> time => assert!(time.is_ok()),
    }
}
