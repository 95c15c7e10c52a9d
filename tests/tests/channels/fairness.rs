//! Of several ready arms each is chosen equally often, or the first if the select is biased. Of
//! several waiters the first to come is served first.

use go_runtime::channel::{Receiver, Select, Sender, bounded, unbounded};
use go_runtime::{go, select, select_biased};

use go_tests::support::{self, in_both, in_goroutine, settle};

const SELECTS: usize = 100_000;

/// Checks that each arm's share is within five standard deviations of 1/k. (By chance a correct run
/// of this file fails about once in 10,000 runs.)
fn fair(shares: &[usize]) {
    assert_eq!(shares.iter().sum::<usize>(), SELECTS);
    let (n, p) = (SELECTS as f64, 1.0 / shares.len() as f64);
    let most = 5.0 * (n * p * (1.0 - p)).sqrt();
    let is_fair = |&share: &usize| (share as f64 - n * p).abs() <= most;
    assert!(
        shares.iter().all(is_fair),
        "{shares:?} are not within {most} of equal"
    );
}

type Channels = (Vec<Sender<()>>, Vec<Receiver<()>>);

/// Makes `k` channels that always have a message, and always have room for one.
fn ready_channels(k: usize) -> Channels {
    let (txs, rxs): Channels = (0..k).map(|_| bounded(2)).unzip();
    txs.iter().for_each(|tx| tx.send(()).unwrap());
    (txs, rxs)
}

/// Runs many selects and counts each arm. `choose` runs a select and returns the arm; `restore`
/// then brings its channel back into its state.
fn count(k: usize, choose: impl Fn(&Channels) -> usize, restore: impl Fn(&Channels, usize)) {
    let channels = ready_channels(k);
    let mut shares = vec![0; k];
    for _ in 0..SELECTS {
        let i = choose(&channels);
        shares[i] += 1;
        restore(&channels, i);
        assert_eq!(
            channels.1[i].len(),
            1,
            "the arm that ran is the one that was chosen"
        );
    }
    fair(&shares);
}

fn send_again(channels: &Channels, i: usize) {
    channels.0[i].try_send(()).unwrap();
}

fn take_again(channels: &Channels, i: usize) {
    channels.1[i].try_recv().unwrap();
}

/// A select with an arm for each number.
macro_rules! receive_from {
    ($($i:literal)*) => {
        |(_, rx): &Channels| select! { $(recv(rx[$i]) -> got => { got.unwrap(); $i })* }
    };
}

macro_rules! send_to {
    ($($i:literal)*) => {
        |(tx, _): &Channels| select! { $(send(tx[$i], ()) -> sent => { sent.unwrap(); $i })* }
    };
}

#[test]
fn recv_arms_are_chosen_alike() {
    in_both(|| {
        count(2, receive_from!(0 1), send_again);
        count(3, receive_from!(0 1 2), send_again);
        count(5, receive_from!(0 1 2 3 4), send_again);
        count(
            16,
            receive_from!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15),
            send_again,
        );
    });
}

#[test]
fn send_arms_are_chosen_alike() {
    in_both(|| {
        count(2, send_to!(0 1), take_again);
        count(3, send_to!(0 1 2), take_again);
        count(5, send_to!(0 1 2 3 4), take_again);
        count(
            16,
            send_to!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15),
            take_again,
        );
    });
}

#[test]
fn recv_operations_are_chosen_alike() {
    fn choose((_, rxs): &Channels) -> usize {
        let mut select = Select::new();
        for rx in rxs {
            select.recv(rx);
        }
        let operation = select.select();
        let i = operation.index();
        operation.recv(&rxs[i]).unwrap();
        i
    }
    in_both(|| [2, 3, 5, 16].map(|k| count(k, choose, send_again)));
}

#[test]
fn send_operations_are_chosen_alike() {
    fn choose((txs, _): &Channels) -> usize {
        let mut select = Select::new();
        for tx in txs {
            select.send(tx);
        }
        let operation = select.try_select().unwrap();
        let i = operation.index();
        operation.send(&txs[i], ()).unwrap();
        i
    }
    in_both(|| [2, 3, 5, 16].map(|k| count(k, choose, take_again)));
}

/// `ready` carries no operation out. It returns each operation equally often.
#[test]
fn ready_operations_are_named_alike() {
    fn choose((txs, rxs): &Channels) -> usize {
        let mut select = Select::new();
        for (i, (tx, rx)) in txs.iter().zip(rxs).enumerate() {
            if i % 2 == 0 {
                select.recv(rx);
            } else {
                select.send(tx);
            }
        }
        select.ready()
    }
    in_both(|| [2, 5].map(|k| count(k, choose, |_, _| ())));
}

// --- Biased ---

/// Makes five channels with room for one message. With `full`, the channels in `ready` hold a
/// message, so that a receive from them is ready. Otherwise all other channels hold a message, so
/// that only a send to a channel in `ready` is ready.
fn channels_with(ready: usize, full: bool) -> Channels {
    let (txs, rxs): Channels = (0..5).map(|_| bounded(1)).unzip();
    for (i, tx) in txs.iter().enumerate() {
        if (ready >> i & 1 == 1) == full {
            tx.send(()).unwrap();
        }
    }
    (txs, rxs)
}

#[test]
fn biased_selects_take_the_first_that_is_ready() {
    in_both(|| {
        for ready in 1..1_usize << 5 {
            let first = ready.trailing_zeros() as usize;
            for _ in 0..20 {
                let (_tx, rx) = channels_with(ready, true);
                let chosen = select_biased! {
                    recv(rx[0]) -> got => { got.unwrap(); 0 }
                    recv(rx[1]) -> got => { got.unwrap(); 1 }
                    recv(rx[2]) -> got => { got.unwrap(); 2 }
                    recv(rx[3]) -> got => { got.unwrap(); 3 }
                    recv(rx[4]) -> got => { got.unwrap(); 4 }
                };
                assert_eq!((chosen, rx[chosen].len()), (first, 0));

                let (tx, _rx) = channels_with(ready, false);
                let chosen = select_biased! {
                    send(tx[0], ()) -> sent => { sent.unwrap(); 0 }
                    send(tx[1], ()) -> sent => { sent.unwrap(); 1 }
                    send(tx[2], ()) -> sent => { sent.unwrap(); 2 }
                    send(tx[3], ()) -> sent => { sent.unwrap(); 3 }
                    send(tx[4], ()) -> sent => { sent.unwrap(); 4 }
                    default => panic!("some are ready"),
                };
                assert_eq!((chosen, tx[chosen].len()), (first, 1));
            }
        }
    });
}

#[test]
fn biased_lists_take_the_first_that_is_ready() {
    in_both(|| {
        for ready in 1..1_usize << 5 {
            let first = ready.trailing_zeros() as usize;
            for _ in 0..20 {
                let (_tx, rx) = channels_with(ready, true);
                let mut select = Select::new_biased();
                for rx in &rx {
                    select.recv(rx);
                }
                assert_eq!((select.try_ready(), select.ready()), (Ok(first), first));
                let operation = select.select();
                assert_eq!(operation.index(), first);
                operation.recv(&rx[first]).unwrap();

                let (tx, _rx) = channels_with(ready, false);
                let mut select = Select::new_biased();
                for tx in &tx {
                    select.send(tx);
                }
                assert_eq!((select.try_ready(), select.ready()), (Ok(first), first));
                let operation = select.try_select().unwrap();
                assert_eq!(operation.index(), first);
                operation.send(&tx[first], ()).unwrap();
            }
        }
    });
}

// --- First come, first served ---

const WAITING: usize = 100;

/// Sends, waiting in one of four ways.
fn send_somehow(tx: &Sender<usize>, n: usize) {
    let ((_stop, stopped), far) = (bounded::<()>(0), std::time::Duration::from_secs(3_600));
    match n % 4 {
        0 => tx.send(n).unwrap(),
        1 => tx.send_timeout(n, far).unwrap(),
        2 => select! { send(tx, n) -> sent => sent.unwrap(), recv(stopped) -> _ => panic!() },
        _ => {
            let mut select = Select::new();
            select.recv(&stopped);
            select.send(tx);
            select.select().send(tx, n).unwrap();
        }
    }
}

fn receive_somehow(rx: &Receiver<usize>, n: usize) -> usize {
    let ((_stop, stopped), far) = (bounded::<()>(0), std::time::Duration::from_secs(3_600));
    match n % 4 {
        0 => rx.recv().unwrap(),
        1 => rx.recv_timeout(far).unwrap(),
        2 => select! { recv(rx) -> got => got.unwrap(), recv(stopped) -> _ => panic!() },
        _ => {
            let mut select = Select::new();
            select.recv(&stopped);
            select.recv(rx);
            select.select().recv(rx).unwrap()
        }
    }
}

/// All senders share one worker, so they wait in the order of their numbers.
#[test]
fn senders_are_served_in_the_order_of_their_coming() {
    for capacity in [0, 1, 7] {
        for taking in 0..4 {
            in_goroutine(move || {
                let (tx, rx) = bounded(capacity);
                (0..capacity).for_each(|n| tx.send(n).unwrap());
                let all = capacity..capacity + WAITING;
                let waiting: Vec<_> = all
                    .clone()
                    .map(|n| {
                        let waiting = go!(local; clone(tx) { send_somehow(&tx, n) });
                        settle();
                        assert!(!waiting.is_finished());
                        waiting
                    })
                    .collect();
                drop(tx);
                let order: Vec<_> = match taking {
                    0 => rx.iter().collect(),
                    1 => (0..all.end).map(|n| receive_somehow(&rx, n)).collect(),
                    // A `send` arm that gets a place in the buffer makes its message when it runs
                    // next, so let it run.
                    2 => (0..all.end)
                        .map(|_| {
                            settle();
                            rx.try_recv().unwrap()
                        })
                        .collect(),
                    _ => (0..all.end)
                        .map(|_| {
                            settle();
                            select! { recv(rx) -> n => n.unwrap(), default => panic!("empty") }
                        })
                        .collect(),
                };
                waiting
                    .into_iter()
                    .for_each(|waiting| waiting.join().unwrap());
                let in_order = order.iter().copied().eq(0..all.end);
                if capacity == 0 || taking >= 2 {
                    assert!(in_order, "capacity {capacity}, way {taking}: {order:?}");
                    return;
                }
                // A place in the buffer may be promised to a `send` arm that has yet to make its
                // message (Go evaluates the message on entering). A receiver that comes meanwhile
                // is served by the senders behind that arm. Plain senders keep their order.
                let (mut promised, plain): (Vec<_>, Vec<_>) = order
                    .into_iter()
                    .partition(|n| *n >= capacity && n % 4 >= 2);
                assert!(
                    plain.is_sorted(),
                    "capacity {capacity}, way {taking}: {plain:?}"
                );
                promised.extend(plain);
                promised.sort();
                assert!(promised.into_iter().eq(0..all.end), "each once");
            });
        }
    }
}

#[test]
fn receivers_are_served_in_the_order_of_their_coming() {
    for capacity in [Some(0), Some(3), None] {
        for giving in 0..3 {
            in_goroutine(move || {
                let (tx, rx) = capacity.map_or_else(unbounded, bounded);
                let waiting: Vec<_> = (0..WAITING)
                    .map(|n| {
                        let waiting = go!(local; clone(rx) { receive_somehow(&rx, n) });
                        settle();
                        assert!(!waiting.is_finished());
                        waiting
                    })
                    .collect();
                for n in 0..WAITING {
                    match giving {
                        0 => send_somehow(&tx, n),
                        1 => tx.try_send(n).unwrap(),
                        _ => {
                            select! {
                                send(tx, n) -> sent => sent.unwrap(),
                                default => panic!("full"),
                            }
                        }
                    }
                }
                for (n, waiting) in waiting.into_iter().enumerate() {
                    assert_eq!(waiting.join().unwrap(), n, "{capacity:?}, way {giving}");
                }
            });
        }
    }
}

#[test]
fn orders_with_one_worker_and_with_many() {
    support::run_with(&["1", "8", "16"], &["are_served_in_the_order"]);
}
