//! Go's `test/chan`: select, select3, select4, select7 and select8.

use std::cell::Cell;
use std::collections::VecDeque;

use go_runtime::channel::{
    Receiver, RecvError, Select, SendError, Sender, TryRecvError, TrySendError, bounded, never,
    unbounded,
};
use go_runtime::{go, select, yield_now};

use go_tests::support::{in_both, in_goroutine, settle};

// --- select ---

/// An unbounded queue between two rendezvous channels sends and receives in one select, and
/// switches arms off.
#[test]
fn select_sends_and_receives() {
    const COUNT: usize = 5_000;
    in_both(|| {
        let (input, incoming) = bounded(0);
        let (outgoing, output) = bounded(0);
        let queueing = go! {
            // Where Go uses nil, the send arm takes a channel without a waiting receiver.
            let (off, _nobody) = bounded(0);
            let off_input = never();
            let (mut queue, mut most, mut open) = (VecDeque::new(), 0, true);
            while open || !queue.is_empty() {
                select! {
                    recv(if open { &incoming } else { &off_input }) -> got => match got {
                        Ok(n) => queue.push_back(n),
                        Err(RecvError) => open = false,
                    },
                    send(
                        if queue.is_empty() { &off } else { &outgoing },
                        queue.pop_front().unwrap()
                    ) -> sent =>
                        sent.unwrap(),
                }
                most = most.max(queue.len());
            }
            most
        };
        // The output is not received yet, so half of the numbers have to fit into the queue.
        (0..COUNT / 2).for_each(|n| input.send(n).unwrap());
        go! { (COUNT / 2..COUNT).for_each(|n| input.send(n).unwrap()) };
        assert!(output.iter().eq(0..COUNT));
        assert!(queueing.join().unwrap() >= COUNT / 2 - 1);
    });
}

// --- select3 ---

/// A channel of `i32` in one of its states, and the ends that keep it so.
struct Case {
    name: &'static str,
    tx: Sender<i32>,
    rx: Receiver<i32>,
    _open: Receiver<i32>,
    /// The result of a receive; `None` if it would wait.
    receive: Option<Result<i32, RecvError>>,
    /// The result of a send of 9; `None` if it would wait.
    send: Option<Result<(), SendError<i32>>>,
}

const RECEIVED: Option<Result<i32, RecvError>> = Some(Ok(1));
const ENDED: Option<Result<i32, RecvError>> = Some(Err(RecvError));
const SENT: Option<Result<(), SendError<i32>>> = Some(Ok(()));
const REFUSED: Option<Result<(), SendError<i32>>> = Some(Err(SendError(9)));

/// Makes the channels anew each time, because an operation changes the state.
fn cases() -> Vec<Case> {
    let case = |name, capacity: Option<usize>, fill, closed, receive, send| {
        let (tx, rx) = capacity.map_or_else(unbounded, bounded);
        (1..=fill).for_each(|n| tx.send(n).unwrap());
        if closed {
            tx.close();
        }
        Case {
            name,
            tx,
            _open: rx.clone(),
            rx,
            receive,
            send,
        }
    };
    let mut cases = vec![
        case("rendezvous", Some(0), 0, false, None, None),
        case("closed rendezvous", Some(0), 0, true, ENDED, REFUSED),
        case("empty", Some(2), 0, false, None, SENT),
        case("neither", Some(2), 1, false, RECEIVED, SENT),
        case("full", Some(2), 2, false, RECEIVED, None),
        case("closed, empty", Some(2), 0, true, ENDED, REFUSED),
        case("closed, neither", Some(2), 1, true, RECEIVED, REFUSED),
        case("closed, full", Some(2), 2, true, RECEIVED, REFUSED),
        case("unbounded, empty", None, 0, false, None, SENT),
        case("unbounded", None, 5, false, RECEIVED, SENT),
        case("unbounded, closed", None, 5, true, RECEIVED, REFUSED),
    ];
    // Go's nil channel, of which this crate has only the receiving end.
    let mut nil = case("never", Some(0), 0, false, None, None);
    nil.rx = never();
    cases.push(nil);
    cases
}

#[test]
fn select3_which_operations_wait_when_tried() {
    in_both(|| {
        for case in cases() {
            let got = match case.rx.try_recv() {
                Ok(n) => Some(Ok(n)),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
            };
            assert_eq!(got, case.receive, "{}", case.name);
        }
        for case in cases() {
            let sent = match case.tx.try_send(9) {
                Ok(()) => Some(Ok(())),
                Err(TrySendError::Full(9)) => None,
                Err(TrySendError::Disconnected(n)) => Some(Err(SendError(n))),
                Err(TrySendError::Full(n)) => panic!("{n} was not sent"),
            };
            assert_eq!(sent, case.send, "{}", case.name);
        }
    });
}

#[test]
fn select3_which_operations_wait_in_a_select() {
    in_both(|| {
        for case in cases() {
            let got = select! { recv(case.rx) -> got => Some(got), default => None };
            assert_eq!(got, case.receive, "select!: {}", case.name);
        }
        for case in cases() {
            let sent = select! { send(case.tx, 9) -> sent => Some(sent), default => None };
            assert_eq!(sent, case.send, "select!: {}", case.name);
        }
        for case in cases() {
            let mut select = Select::new();
            select.recv(&case.rx);
            assert_eq!(select.try_ready().is_ok(), case.receive.is_some());
            let got = select.try_select().ok().map(|op| op.recv(&case.rx));
            assert_eq!(got, case.receive, "Select: {}", case.name);
        }
        for case in cases() {
            let mut select = Select::new();
            select.send(&case.tx);
            assert_eq!(select.try_ready().is_ok(), case.send.is_some());
            let sent = select.try_select().ok().map(|op| op.send(&case.tx, 9));
            assert_eq!(sent, case.send, "Select: {}", case.name);
        }
    });
}

/// The operations that should wait do wait, as arms of a select that another arm ends.
#[test]
fn select3_arms_that_wait() {
    in_goroutine(|| {
        for (one, other) in cases().into_iter().zip(cases()) {
            let (stop, stopped) = bounded::<()>(0);
            let (rx, tx) = (one.rx.clone(), other.tx.clone());
            let receiving = go!(local; clone(stopped) {
                select! { recv(rx) -> got => Some(got), recv(stopped) -> _ => None }
            });
            let sending = go!(local; {
                select! { send(tx, 9) -> sent => Some(sent), recv(stopped) -> _ => None }
            });
            settle();
            assert_eq!(receiving.is_finished(), one.receive.is_some());
            assert_eq!(sending.is_finished(), other.send.is_some());
            drop(stop);
            assert_eq!(receiving.join().unwrap(), one.receive, "{}", one.name);
            assert_eq!(sending.join().unwrap(), other.send, "{}", one.name);
        }
    });
}

/// As plain calls they wait until the channel is closed.
#[test]
fn select3_operations_that_wait() {
    in_goroutine(|| {
        for (one, other) in cases().into_iter().zip(cases()) {
            // Nothing could end a receive from the nil channel.
            if one.name != "never" {
                let rx = one.rx.clone();
                let receiving = go!(local; { rx.recv() });
                settle();
                assert_eq!(receiving.is_finished(), one.receive.is_some());
                one.tx.close();
                let expected = one.receive.unwrap_or(Err(RecvError));
                assert_eq!(receiving.join().unwrap(), expected, "{}", one.name);
            }
            let tx = other.tx.clone();
            let sending = go!(local; { tx.send(9) });
            settle();
            assert_eq!(sending.is_finished(), other.send.is_some());
            other.tx.close();
            let expected = other.send.unwrap_or(Err(SendError(9)));
            assert_eq!(sending.join().unwrap(), expected, "{}", other.name);
        }
    });
}

// --- select4 ---

/// If one of two arms is ready, the select goes on and evaluates nothing of the other arm.
#[test]
fn select4_the_ready_case_proceeds() {
    in_both(|| {
        let (tx, rx) = bounded(1);
        let (blocked, _nobody) = bounded::<i32>(0);
        let calls = Cell::new(0);
        let target = Cell::new(0);
        let place = || {
            calls.set(calls.get() + 1);
            &target
        };
        tx.send(42).unwrap();
        select! {
            recv(never::<i32>()) -> got => { place().set(-1); panic!("{got:?}") }
            send(blocked, { place(); 1 }) -> sent => panic!("{sent:?}"),
            recv(rx) -> got => place().set(got.unwrap()),
        }
        assert_eq!((target.get(), calls.get()), (42, 1));
        // The value of a send is evaluated only if its arm is chosen.
        select! {
            send(blocked, { place(); 1 }) -> sent => panic!("{sent:?}"),
            send(tx, { place().set(43); target.get() }) -> sent => sent.unwrap(),
        }
        assert_eq!((rx.try_recv(), calls.get()), (Ok(43), 2));
    });
}

// --- select7 ---

type Receiving = fn(&Receiver<i32>);
type Sending = fn(&Sender<i32>);

/// All ways to receive the message 1, most of which discard it.
const RECEIVING: [Receiving; 8] = [
    |rx| assert!(rx.recv().is_ok()),
    |rx| select! { recv(rx) -> got => assert_eq!(got, Ok(1)) },
    |rx| select! { recv(rx) -> _ => {} },
    |rx| select! { <-rx => {} },
    |rx| select! { _ = <-rx => {}, <-never::<()>() => panic!("nil is ready") },
    |rx| select! { got = <-rx => assert_eq!(got, Ok(1)), recv(never::<()>()) -> _ => panic!("nil") },
    |rx| loop {
        select! { <-rx => break, default => yield_now() }
    },
    |rx| {
        let mut select = Select::new();
        select.recv(rx);
        select.select().recv(rx).unwrap();
    },
];

const SENDING: [Sending; 7] = [
    |tx| tx.send(1).unwrap(),
    |tx| select! { send(tx, 1) -> sent => sent.unwrap() },
    |tx| select! { send(tx, 1) -> _ => {} },
    |tx| select! { tx <- 1 => {} },
    |tx| select! { tx <- 1 => {}, <-never::<()>() => panic!("nil is ready") },
    |tx| loop {
        select! { tx <- 1 => break, default => yield_now() }
    },
    |tx| {
        let mut select = Select::new();
        select.send(tx);
        select.select().send(tx, 1).unwrap();
    },
];

/// Returns all pairs of a way to receive and a way to send, except for the two that only poll:
/// these could miss each other for ever.
fn ways() -> impl Iterator<Item = (Receiving, Sending)> {
    let all = (0..RECEIVING.len()).flat_map(|r| (0..SENDING.len()).map(move |s| (r, s)));
    all.filter(|ways| *ways != (6, 5))
        .map(|(r, s)| (RECEIVING[r], SENDING[s]))
}

#[test]
fn select7_discarded_values() {
    in_goroutine(|| {
        for (receive, send) in ways() {
            let (tx, rx) = bounded(0);
            let early = rx.clone();
            let receiving = go!(local; { receive(&early) });
            settle();
            send(&tx);
            receiving.join().unwrap();
            let sending = go!(local; { send(&tx) });
            settle();
            receive(&rx);
            sending.join().unwrap();
            assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected), "sent once");
        }
    });
}

/// The same pairs on two threads, in any order.
#[test]
fn select7_discarded_values_on_threads() {
    for (receive, send) in ways() {
        for capacity in [0, 1] {
            let (tx, rx) = bounded(capacity);
            let sending = std::thread::spawn(move || send(&tx));
            receive(&rx);
            sending.join().unwrap();
            assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
        }
    }
}

// --- select8 ---

#[test]
fn select8_break_leaves_the_loop_around() {
    in_both(|| {
        let (tx, rx) = unbounded();
        (0..10).for_each(|n| tx.send(n).unwrap());
        // A Rust `match` is not a loop. So, unlike in Go, `break` in an arm leaves the loop around
        // the select.
        let found = loop {
            select! {
                recv(rx) -> n => if n == Ok(3) { break n },
                default => panic!("it is still full"),
            }
        };
        assert_eq!((found, rx.recv()), (Ok(3), Ok(4)));
        let mut rounds = 0;
        while rounds < 5 {
            rounds += 1;
            select! { recv(rx) -> _ => continue, recv(never::<()>()) -> _ => {} }
        }
        assert_eq!((rounds, rx.try_recv()), (5, Err(TryRecvError::Empty)));
    });
}

#[test]
fn select8_labels() {
    in_both(|| {
        let (tx, rx) = unbounded();
        (0..6).for_each(|n| tx.send(n).unwrap());
        let mut log = Vec::new();
        'outer: for round in 0..10 {
            for inner in 0.. {
                select! {
                    recv(rx) -> n => match n.unwrap() {
                        // A `break` also leaves a select inside a select.
                        5 => select! { default => break 'outer },
                        n if n % 2 == 1 => continue 'outer,
                        n => log.push((round, inner, n)),
                    },
                    default => panic!("it is still full"),
                }
            }
        }
        assert_eq!(log, [(0, 0, 0), (1, 0, 2), (2, 0, 4)]);
        // A labeled block does what `break` out of a select does in Go.
        let value = 'select: {
            select! {
                default => if log.len() == 3 { break 'select "left" },
            }
            "went on"
        };
        assert_eq!(value, "left");
    });
}

#[test]
fn select8_return_and_question_mark() {
    fn leave(tx: &Sender<i32>, rx: &Receiver<i32>, how: &str) -> Result<i32, RecvError> {
        loop {
            select! {
                recv(rx) -> got => match how {
                    "return" => return got,
                    "?" => { got?; }
                    _ => break Ok(-1),
                },
                // A return from the value's expression gives the promised place back.
                send(tx, if how == "value" { return Ok(7) } else { 1 }) -> sent => {
                    sent.map_err(|_| RecvError)?;
                }
            }
        }
    }
    in_both(|| {
        let (tx, rx) = bounded(1);
        assert_eq!(leave(&tx, &rx, "return"), Ok(1));
        assert_eq!(leave(&tx, &rx, "break"), Ok(-1));
        assert_eq!(leave(&tx, &rx, "value"), Ok(7));
        assert_eq!((rx.len(), tx.try_send(2)), (0, Ok(())));
        tx.close();
        assert_eq!(leave(&tx, &rx, "?"), Err(RecvError));
    });
}
