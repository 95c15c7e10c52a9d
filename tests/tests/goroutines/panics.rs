//! Panics in values that a channel drops, and in code that it calls. Afterwards the channel is as
//! usable as before. No message is lost except those that were dropped or leaked by the panic, none
//! is duplicated, and each is dropped at most once.

mod captured;
mod code;
mod results;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use go_runtime::channel::{
    Receiver, Select, Sender, TryRecvError, TrySendError, bounded, unbounded,
};
use go_runtime::{go, select};

use go_tests::support::{in_both, in_goroutine, settle};

/// Counts how often each message has been dropped.
#[derive(Clone, Debug)]
struct Drops(Arc<Vec<AtomicUsize>>);

impl Drops {
    fn new() -> Drops {
        Drops(Arc::new((0..20).map(|_| AtomicUsize::new(0)).collect()))
    }

    fn message(&self, id: usize, armed: bool) -> Message {
        Message {
            id,
            armed,
            drops: self.clone(),
        }
    }

    /// Makes a message that is dropped without a panic.
    fn plain(&self, id: usize) -> Message {
        self.message(id, false)
    }

    /// Makes a message that panics when it is dropped.
    fn armed(&self, id: usize) -> Message {
        self.message(id, true)
    }

    /// Returns the numbers of the messages that have been dropped, and asserts that none was
    /// dropped twice.
    fn of(&self) -> Vec<usize> {
        let times: Vec<_> = self.0.iter().map(|n| n.load(Ordering::SeqCst)).collect();
        assert!(times.iter().all(|n| *n <= 1), "dropped twice: {times:?}");
        (0..times.len()).filter(|id| times[*id] == 1).collect()
    }
}

#[derive(Debug)]
struct Message {
    id: usize,
    armed: bool,
    drops: Drops,
}

impl Drop for Message {
    fn drop(&mut self) {
        self.drops.0[self.id].fetch_add(1, Ordering::SeqCst);
        // A second panic would abort the process.
        if self.armed && !thread::panicking() {
            panic!("drop of {}", self.id);
        }
    }
}

/// Runs `f`, and expects the panic from dropping message `id`.
#[track_caller]
fn drop_panics<T>(id: usize, f: impl FnOnce() -> T) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("it did not panic");
    };
    let text = panic.downcast_ref::<String>().unwrap();
    assert_eq!(*text, format!("drop of {id}"));
}

/// Runs `f`, and expects a panic with `text`.
#[track_caller]
fn panics<T>(text: &str, f: impl FnOnce() -> T) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("it did not panic");
    };
    let said = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    assert!(
        said.as_ref().is_some_and(|said| said.contains(text)),
        "{said:?}"
    );
}

/// Asserts that the channel is open and empty, and passes messages on in all ways.
#[track_caller]
fn is_usable(tx: &Sender<Message>, rx: &Receiver<Message>, drops: &Drops) {
    assert!(matches!(rx.try_recv(), Err(TryRecvError::Empty)));
    let before = drops.of();
    let capacity = tx.capacity();
    // No waiter is left in the channel, and no place is taken.
    let room = capacity.unwrap_or(3).min(3);
    for id in 10..10 + room {
        assert!(tx.try_send(drops.plain(id)).is_ok());
    }
    if capacity.is_some_and(|capacity| capacity == room) {
        let refused = tx.try_send(drops.plain(10 + room));
        let Err(TrySendError::Full(message)) = refused else {
            panic!("{refused:?}")
        };
        // This message is not counted.
        std::mem::forget(message);
    }
    assert!(rx.try_iter().map(|message| message.id).eq(10..10 + room));
    let (sender, message) = (tx.clone(), drops.plain(15));
    let sending = go!({ sender.send(message).unwrap() });
    assert_eq!(rx.recv().unwrap().id, 15);
    sending.join().unwrap();
    let mut expected = before;
    expected.extend((10..10 + room).chain([15]));
    expected.sort();
    assert_eq!(drops.of(), expected);
}

// --- Messages whose drop panics ---

/// The last receiver is dropped while there are messages. One of them panics, and the messages
/// after it are leaked, as in crossbeam-channel. Senders learn that the channel is closed.
#[test]
fn a_message_in_the_buffer() {
    in_both(|| {
        for place in 0..3 {
            let (drops, (tx, rx)) = (Drops::new(), bounded(3));
            for id in 0..3 {
                let message = if id == place {
                    drops.armed(id)
                } else {
                    drops.plain(id)
                };
                tx.send(message).unwrap();
            }
            let waiting = go!(clone(tx, drops) { tx.send(drops.plain(3)).unwrap_err().0.id });
            drop_panics(place, || drop(rx));
            assert_eq!(waiting.join().unwrap(), 3);
            assert_eq!(tx.send(drops.plain(4)).unwrap_err().0.id, 4);
            assert_eq!((tx.len(), tx.is_full()), (0, false));
            drop(tx);
            let mut expected: Vec<_> = (0..=place).collect();
            expected.extend([3, 4]);
            assert_eq!(drops.of(), expected);
        }
    });
}

/// The senders are dropped first, then the receiver, inside an owning iterator.
#[test]
fn a_message_in_the_buffer_of_an_iterator() {
    in_both(|| {
        let (drops, (tx, rx)) = (Drops::new(), unbounded());
        tx.send(drops.plain(0)).unwrap();
        tx.send(drops.armed(1)).unwrap();
        drop(tx);
        let mut iter = rx.into_iter();
        assert_eq!(iter.next().unwrap().id, 0);
        drop_panics(1, || drop(iter));
        assert_eq!(drops.of(), [0, 1]);
    });
}

/// The caller drops the message that a failed send returns.
#[test]
fn a_message_in_an_error() {
    const SOON: Duration = Duration::from_millis(1);
    in_both(|| {
        let (drops, (tx, rx)) = (Drops::new(), bounded(1));
        tx.send(drops.plain(0)).unwrap();
        let id = 1..;
        let ways: [fn(&Sender<Message>, Message); 3] = [
            |tx, message| drop(tx.try_send(message).unwrap_err()),
            |tx, message| drop(tx.send_timeout(message, SOON).unwrap_err()),
            |tx, message| {
                let mut select = Select::new();
                select.send(tx);
                assert!(select.select_timeout(SOON).is_err());
                drop(message);
            },
        ];
        for (id, way) in id.zip(ways) {
            drop_panics(id, || way(&tx, drops.armed(id)));
        }
        assert_eq!(rx.recv().unwrap().id, 0);
        is_usable(&tx, &rx, &drops);
        assert_eq!(drops.of()[..4], [0, 1, 2, 3]);
    });
}

#[test]
fn a_message_for_a_closed_channel() {
    in_both(|| {
        for capacity in [0, 2] {
            let (drops, (tx, rx)) = (Drops::new(), bounded(capacity));
            (0..capacity).for_each(|id| tx.send(drops.plain(id)).unwrap());
            tx.close();
            let ways: [fn(&Sender<Message>, Message); 5] = [
                |tx, message| drop(tx.send(message)),
                |tx, message| drop(tx.try_send(message)),
                |tx, message| select! { tx <- message => panic!("the message is dropped before") },
                |tx, message| select! { send(tx, message) -> sent => assert!(sent.is_err()) },
                |tx, message| {
                    let mut select = Select::new();
                    select.send(tx);
                    drop(select.select().send(tx, message));
                },
            ];
            for (id, way) in (5..).zip(ways) {
                drop_panics(id, || way(&tx, drops.armed(id)));
            }
            // The messages in the buffer are still there.
            assert!(rx.iter().map(|message| message.id).eq(0..capacity));
            let expected: Vec<_> = (0..capacity).chain(5..10).collect();
            assert_eq!(drops.of(), expected);
        }
    });
}

/// Dropping a chosen operation without completing it panics, and drops the message that it has
/// taken or frees its place.
#[test]
fn an_operation_that_is_not_completed() {
    const DROPPED: &str = "without completing";
    in_both(|| {
        for capacity in [1, 2] {
            let (drops, (tx, rx)) = (Drops::new(), bounded(capacity));
            let chosen_to_receive = || {
                let mut select = Select::new();
                select.recv(&rx);
                select.select()
            };
            tx.send(drops.plain(0)).unwrap();
            let operation = chosen_to_receive();
            panics(DROPPED, || drop(operation));
            is_usable(&tx, &rx, &drops);

            let (drops, wrong) = (Drops::new(), unbounded::<Message>().1);
            tx.send(drops.plain(0)).unwrap();
            let operation = chosen_to_receive();
            panics("receiver that wasn't selected", || operation.recv(&wrong));
            is_usable(&tx, &rx, &drops);

            let drops = Drops::new();
            tx.send(drops.armed(0)).unwrap();
            let operation = chosen_to_receive();
            drop_panics(0, || drop(operation));
            is_usable(&tx, &rx, &drops);

            let drops = Drops::new();
            let mut select = Select::new();
            select.send(&tx);
            let operation = select.select();
            panics(DROPPED, || drop(operation));
            let (operation, wrong) = (select.select(), unbounded().0);
            panics("sender that wasn't selected", || {
                operation.send(&wrong, drops.plain(0))
            });
            is_usable(&tx, &rx, &drops);
            assert!(drops.of().contains(&0));
        }
    });
}

/// The same on a rendezvous channel, where a partner waits: a sender has been served, while a
/// receiver goes on waiting.
#[test]
fn an_operation_that_is_not_completed_has_a_partner() {
    const DROPPED: &str = "without completing";
    in_goroutine(|| {
        let (drops, (tx, rx)) = (Drops::new(), bounded(0));
        for in_select in [false, true] {
            let id = usize::from(in_select);
            let sending = go!(local; clone(tx, drops) {
                if in_select {
                    select! { send(tx, drops.plain(id)) -> sent => sent.unwrap() }
                } else {
                    tx.send(drops.plain(id)).unwrap();
                }
            });
            settle();
            let mut select = Select::new();
            select.recv(&rx);
            let operation = select.select();
            panics(DROPPED, || drop(operation));
            sending.join().unwrap();
            // The message was dropped with the operation.
            assert_eq!(*drops.of().last().unwrap(), id);
        }
        let receiving = go!(local; clone(rx) { rx.recv().unwrap().id });
        settle();
        let mut select = Select::new();
        select.send(&tx);
        let operation = select.select();
        panics(DROPPED, || drop(operation));
        settle();
        assert!(!receiving.is_finished());
        tx.send(drops.plain(2)).unwrap();
        assert_eq!(receiving.join().unwrap(), 2);
        is_usable(&tx, &rx, &drops);
    });
}
