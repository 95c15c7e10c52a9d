//! Futures may be dropped at any point: no message is lost, and no waiter is left behind.

use std::collections::HashSet;
use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;

use go_runtime::channel::{self, RecvError, TryRecvError};
use go_runtime::{go, select, yield_now};

use super::{Count, poll, support};

/// A dropped future returns the message that it was given, either to another waiter or to the
/// channel.
#[test]
fn what_a_dropped_future_was_given_comes_back() {
    let count = Arc::new(Count::default());
    for capacity in [0, 1, 2] {
        let (tx, rx) = channel::bounded(capacity);
        let mut receiving = rx.recv_async();
        assert!(poll(&mut receiving, &count).is_pending());
        tx.try_send(1).unwrap();
        for n in 0..capacity {
            tx.try_send(2 + n).unwrap();
        }
        drop(receiving);
        // The message is again the first in the channel, even though the buffer has no room for it,
        // and the other messages keep their order.
        assert!(rx.is_full() && tx.try_send(9).is_err());
        assert_eq!(rx.len(), capacity + 1);
        tx.close();
        let rest: Vec<_> = rx.iter().collect();
        assert_eq!(rest, (1..capacity + 2).collect::<Vec<_>>());
    }

    let (tx, rx) = channel::bounded(0);
    let mut first = rx.recv_async();
    let mut second = rx.recv_async();
    assert!(poll(&mut first, &count).is_pending());
    tx.try_send(1).unwrap();
    assert!(poll(&mut second, &count).is_pending());
    let before = count.get();
    drop(first);
    assert_eq!(count.get(), before + 1);
    assert_eq!(poll(&mut second, &count), Poll::Ready(Ok(1)));
}

#[test]
fn a_dropped_future_that_waits_leaves_nothing() {
    let count = Arc::new(Count::default());
    let message = Arc::new(());
    let (tx, rx) = channel::bounded(0);
    let mut receiving = rx.recv_async();
    assert!(poll(&mut receiving, &count).is_pending());
    drop(receiving);
    assert!(tx.try_send(Arc::clone(&message)).is_err());
    let mut sending = tx.send_async(Arc::clone(&message));
    assert!(poll(&mut sending, &count).is_pending());
    drop(sending);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    drop(tx.send_async(Arc::clone(&message)));
    assert_eq!(
        (Arc::strong_count(&message), Arc::strong_count(&count)),
        (1, 1)
    );
    assert_eq!(count.get(), 0);
}

/// Leaked futures stay in the queue as waiters, and do no other harm.
#[test]
fn leaked_futures_stay_in_the_queue() {
    let count = Arc::new(Count::default());
    let (tx, rx) = channel::bounded(0);
    let mut receiving = rx.recv_async();
    assert!(poll(&mut receiving, &count).is_pending());
    std::mem::forget(receiving);
    // The leaked future was the first waiter and gets the first message; the second message is
    // received.
    tx.try_send(1).unwrap();
    assert!(tx.try_send(2).is_err());
    let mut sending = tx.send_async(3);
    assert!(poll(&mut sending, &count).is_pending());
    std::mem::forget(sending);
    assert_eq!(rx.recv(), Ok(3));
}

/// Futures are polled a few times and dropped while others send. Every message is received once in
/// the end.
fn drop_in_the_middle(capacity: Option<usize>) {
    const MESSAGES: usize = 20_000;
    let (tx, rx) = match capacity {
        Some(capacity) => channel::bounded(capacity),
        None => channel::unbounded(),
    };
    let senders: Vec<_> = (0..2)
        .map(|i| {
            let tx = tx.clone();
            go! {
                for n in 0..MESSAGES / 2 {
                    tx.send(i + 2 * n).unwrap();
                    if n % 8 == 0 {
                        yield_now();
                    }
                }
            }
        })
        .collect();
    drop(tx);
    let fickle: Vec<_> = (0..3)
        .map(|i| {
            let rx = rx.clone();
            thread::spawn(move || {
                let count = Arc::new(Count::default());
                let mut got = Vec::new();
                'all: for round in i.. {
                    let mut receiving = rx.recv_async();
                    for _ in 0..round % 4 {
                        match poll(&mut receiving, &count) {
                            Poll::Ready(Ok(n)) => {
                                got.push(n);
                                break;
                            }
                            Poll::Ready(Err(RecvError)) => break 'all,
                            Poll::Pending => thread::yield_now(),
                        }
                    }
                }
                got
            })
        })
        .collect();
    let mut got: Vec<_> = rx.iter().collect();
    senders
        .into_iter()
        .for_each(|sender| sender.join().unwrap());
    for fickle in fickle {
        got.extend(fickle.join().unwrap());
    }
    // Adds messages that came back after the other receivers had seen the end.
    got.extend(rx.try_iter());
    assert_eq!(got.len(), MESSAGES);
    assert_eq!(got.into_iter().collect::<HashSet<_>>().len(), MESSAGES);
}

#[test]
fn dropped_receives_lose_nothing() {
    for capacity in [Some(0), Some(1), Some(16), None] {
        drop_in_the_middle(capacity);
    }
}

/// A send that is dropped either happens or does not: the message arrives once, or is dropped.
#[test]
fn dropped_sends_happen_or_not() {
    struct Message(usize, Arc<AtomicUsize>);
    impl Drop for Message {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    const MESSAGES: usize = 20_000;
    for capacity in [0, 1] {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = channel::bounded(capacity);
        let counter = Arc::clone(&dropped);
        let sender = thread::spawn(move || {
            let count = Arc::new(Count::default());
            let mut sent = HashSet::new();
            for n in 0..MESSAGES {
                let mut sending = tx.send_async(Message(n, Arc::clone(&counter)));
                for _ in 0..n % 4 {
                    if let Poll::Ready(result) = poll(&mut sending, &count) {
                        assert!(result.is_ok());
                        sent.insert(n);
                        break;
                    }
                    thread::yield_now();
                }
            }
            sent
        });
        let mut got = HashSet::new();
        for message in &rx {
            assert!(got.insert(message.0), "twice: {}", message.0);
        }
        let sent = sender.join().unwrap();
        assert!(sent.is_subset(&got), "what was said to be sent has arrived");
        assert_eq!(dropped.load(Ordering::Relaxed), MESSAGES);
    }
}

/// The partner is a `send` arm of a `select!` that takes its time to make the value. The task does
/// not block meanwhile, and its future may be dropped.
fn while_a_select_makes_its_value(keeps: bool, drops: bool) {
    let (tx, rx) = channel::bounded(0);
    let (open, gate) = channel::bounded::<()>(0);
    let (chosen, is_chosen) = channel::bounded::<()>(1);
    let selecting = go!(clone(tx) {
        select! {
            send(tx, {
                chosen.send(()).unwrap();
                gate.recv().unwrap();
                if !keeps {
                    return;
                }
                1
            }) -> sent => sent.unwrap(),
        }
    });
    let count = Arc::new(Count::default());
    let mut receiving = rx.recv_async();
    while is_chosen.is_empty() {
        assert!(poll(&mut receiving, &count).is_pending());
        thread::yield_now();
    }
    let receiving = (!drops).then_some(receiving);
    let before = count.get();
    open.send(()).unwrap();
    selecting.join().unwrap();
    if let Some(mut receiving) = receiving {
        assert!(count.get() > before, "woken in any case");
        if keeps {
            assert_eq!(poll(&mut receiving, &count), Poll::Ready(Ok(1)));
        } else {
            assert!(poll(&mut receiving, &count).is_pending());
            tx.try_send(2).unwrap();
            assert_eq!(poll(&mut receiving, &count), Poll::Ready(Ok(2)));
        }
    } else if keeps {
        assert_eq!(rx.try_recv(), Ok(1));
    }
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    drop(tx);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn promises_to_futures() {
    for keeps in [true, false] {
        for drops in [true, false] {
            while_a_select_makes_its_value(keeps, drops);
        }
    }
}

/// A message may be a borrow, even if the future that was given it is dropped.
#[test]
fn messages_may_borrow() {
    let text = String::from("borrowed");
    let (tx, rx) = channel::bounded(0);
    let count = Arc::new(Count::default());
    let mut receiving = rx.recv_async();
    assert!(poll(&mut receiving, &count).is_pending());
    tx.try_send(text.as_str()).unwrap();
    drop(receiving);
    assert_eq!(rx.recv(), Ok("borrowed"));
}

/// A goroutine ends while the future that waits for it is dropped.
#[test]
fn an_await_that_is_dropped_detaches() {
    let message = Arc::new(());
    let dropped = Arc::new(Count::default());
    // (See `wakers_are_called_by_anybody`.)
    let rounds = if cfg!(debug_assertions) {
        3_000
    } else {
        20_000
    };
    for round in 0..rounds {
        let result = Arc::clone(&message);
        let mut joining = go! {
            if round % 2 == 0 {
                yield_now();
            }
            result
        }
        .into_future();
        for _ in 0..round % 3 {
            if poll(&mut joining, &dropped).is_ready() {
                break;
            }
            thread::yield_now();
        }
    }
    // The last goroutines may not have ended yet.
    support::eventually(|| Arc::strong_count(&message) == 1);
    support::eventually(|| Arc::strong_count(&dropped) == 1);
}
