//! Operations on closed channels (Go's `test/closedchan.go`).

use std::time::Duration;

use go_runtime::channel::{
    Receiver, RecvError, RecvTimeoutError, Select, SendError, SendTimeoutError, Sender,
    TryRecvError, TrySendError, bounded, unbounded,
};
use go_runtime::select;

use crate::Caller;

crate::for_all_callers!(
    receiving_gives_what_is_left_then_an_error,
    sending_gives_the_message_back,
    closing_again_does_nothing,
    closing_wakes_who_receives,
    closing_wakes_who_sends,
    an_arm_on_a_closed_channel_is_ready,
);

const CAPACITIES: [Option<usize>; 4] = [Some(0), Some(1), Some(3), None];

fn make(capacity: Option<usize>) -> (Sender<usize>, Receiver<usize>) {
    capacity.map_or_else(unbounded, bounded)
}

/// The ways to close a channel.
const CLOSERS: [fn(Sender<usize>); 3] = [
    |tx| tx.close(),
    drop,
    |tx| {
        let other = tx.clone();
        tx.close();
        drop(other);
    },
];

type Receiving = fn(&Receiver<usize>) -> Option<usize>;

/// Sends a message, and returns it if the send gives it back.
type Sending = fn(&Sender<usize>, usize) -> Option<usize>;

/// The ways to receive; none of them waits on a closed channel.
const RECEIVE: [Receiving; 7] = [
    |rx| rx.recv().ok(),
    |rx| match rx.try_recv() {
        Ok(message) => Some(message),
        Err(TryRecvError::Disconnected) => None,
        Err(TryRecvError::Empty) => panic!("empty, but not closed"),
    },
    |rx| match rx.recv_timeout(Duration::from_secs(3600)) {
        Ok(message) => Some(message),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => panic!("empty, but not closed"),
    },
    |rx| rx.iter().next(),
    |rx| select! { recv(rx) -> message => message.ok() },
    |rx| select! { recv(rx) -> message => message.ok(), default => panic!("it would wait") },
    |rx| {
        let mut select = Select::new();
        select.recv(rx);
        select.select().recv(rx).ok()
    },
];

/// The ways to send.
const SEND: [Sending; 6] = [
    |tx, message| tx.send(message).err().map(|SendError(message)| message),
    |tx, message| match tx.try_send(message) {
        Ok(()) => None,
        Err(TrySendError::Disconnected(message)) => Some(message),
        Err(TrySendError::Full(_)) => panic!("full, but not closed"),
    },
    |tx, message| match tx.send_timeout(message, Duration::from_secs(3600)) {
        Ok(()) => None,
        Err(SendTimeoutError::Disconnected(message)) => Some(message),
        Err(SendTimeoutError::Timeout(_)) => panic!("full, but not closed"),
    },
    |tx, message| select! { send(tx, message) -> result => result.err().map(|error| error.0) },
    |tx, message| {
        select! {
            send(tx, message) -> result => result.err().map(|error| error.0),
            default => panic!("it would wait"),
        }
    },
    |tx, message| {
        let mut select = Select::new();
        select.send(tx);
        let result = select.select().send(tx, message);
        result.err().map(|error| error.0)
    },
];

/// Go: receives return the messages that were sent before the close, and then zero values and
/// `ok == false`, each time.
fn receiving_gives_what_is_left_then_an_error<C: Caller>() {
    for capacity in CAPACITIES {
        for close in CLOSERS {
            for receive in RECEIVE {
                let left = capacity.unwrap_or(5);
                let (tx, rx) = make(capacity);
                (0..left).for_each(|message| tx.send(message).expect("it is open"));
                close(tx);
                let got: Vec<_> = (0..left + 2).map(|_| receive(&rx)).collect();
                let expected = (0..left).map(Some).chain([None, None]);
                assert_eq!(got, expected.collect::<Vec<_>>());
            }
        }
    }
}

/// Go: a send on a closed channel panics.
fn sending_gives_the_message_back<C: Caller>() {
    for capacity in CAPACITIES {
        for send in SEND {
            let (tx, rx) = make(capacity);
            let other = tx.clone();
            tx.close();
            // The channel is closed for every sender, and stays closed.
            for (message, tx) in [&tx, &other, &tx.clone()].into_iter().enumerate() {
                assert_eq!(send(tx, message), Some(message));
            }
            assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));

            let (tx, rx) = make(capacity);
            drop(rx);
            assert_eq!(send(&tx, 1), Some(1));
        }
    }
}

/// Go: closing again panics, and so does closing nil. (The receiver `never()` has no sender that
/// could be closed.)
fn closing_again_does_nothing<C: Caller>() {
    for capacity in CAPACITIES {
        let left = capacity.unwrap_or(5);
        let (tx, rx) = make(capacity);
        (0..left).for_each(|message| tx.send(message).expect("it is open"));
        let other = tx.clone();
        tx.close();
        tx.close();
        other.close();
        drop((tx, other));
        assert_eq!(rx.iter().collect::<Vec<_>>(), (0..left).collect::<Vec<_>>());
    }
}

fn closing_wakes_who_receives<C: Caller>() {
    for capacity in CAPACITIES {
        for close in CLOSERS {
            // The ways that wait. (`try_recv`, and `select!` with a default, do not.)
            for receive in [RECEIVE[0], RECEIVE[2], RECEIVE[3], RECEIVE[4], RECEIVE[6]] {
                let (tx, rx) = make(capacity);
                let waiting: Vec<_> = (0..3)
                    .map(|_| {
                        let rx = rx.clone();
                        C::start(move || receive(&rx))
                    })
                    .collect();
                close(tx);
                waiting.into_iter().for_each(|end| assert_eq!(end(), None));
            }
        }
    }
}

/// Go: the blocked senders panic.
fn closing_wakes_who_sends<C: Caller>() {
    let closers: [fn(Sender<usize>, Receiver<usize>); 2] = [
        |tx, rx| {
            tx.close();
            // The earlier messages are left in the channel, and none of the blocked senders'
            // messages.
            assert_eq!(
                rx.iter().collect::<Vec<_>>(),
                vec![0; rx.capacity().unwrap_or(0)]
            );
        },
        |_, rx| drop(rx),
    ];
    for capacity in [0, 1, 3] {
        for close in closers {
            for send in [SEND[0], SEND[2], SEND[3], SEND[5]] {
                let (tx, rx) = make(Some(capacity));
                (0..capacity).for_each(|_| tx.send(0).expect("it is open"));
                let waiting: Vec<_> = (1..4)
                    .map(|message| {
                        let tx = tx.clone();
                        C::start(move || (message, send(&tx, message)))
                    })
                    .collect();
                close(tx, rx);
                for end in waiting {
                    let (message, back) = end();
                    assert_eq!(back, Some(message));
                }
            }
        }
    }
}

/// An arm on a closed channel is chosen as often as another ready arm, so both arms are taken
/// before long.
fn an_arm_on_a_closed_channel_is_ready<C: Caller>() {
    let (tx, closed) = make(Some(0));
    tx.close();
    let (tx, open) = {
        let (tx, rx) = make(Some(1));
        tx.send(1).expect("there is room");
        (tx, rx)
    };
    let (mut taken_closed, mut taken_open) = (false, false);
    while !(taken_closed && taken_open) {
        select! {
            recv(closed) -> message => {
                assert_eq!(message, Err(RecvError));
                taken_closed = true;
            }
            recv(open) -> message => {
                assert_eq!(message, Ok(1));
                taken_open = true;
                tx.send(1).expect("there is room");
            }
        }
    }
}
