//! Go's `test/chan`, select2: selects do not make memory grow. An allocator counts the bytes in
//! use. After a warm-up many selects run on busy channels, each with an idle arm that leaves its
//! queue again, and the count must not grow. No waiter may be left in the idle channel either.

use std::ops::Range;
use std::time::Duration;

use go_runtime::channel::{
    Receiver, Select, Sender, TryReadyError, TryRecvError, TrySendError, bounded, unbounded,
};
use go_runtime::{JoinHandle, go, select, select_biased};

use go_tests::support::memory::in_use;
use go_tests::support::{eventually, in_goroutine, on_thread};

const SELECTS: usize = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};
/// Bytes by which the runtime, the test harness and other threads may change the count.
const BOUND: isize = 16 << 10;

/// The ends of a busy channel, of an idle one without messages, and of a full one.
struct Ends {
    times: usize,
    /// Whether the partner is on the same worker.
    local: bool,
    tx: Sender<usize>,
    rx: Receiver<usize>,
    idle: Receiver<usize>,
    idle_tx: Sender<usize>,
    full: Sender<usize>,
    full_rx: Receiver<usize>,
}

/// Runs `round` `times` times, and compares the bytes in use after a tenth of them, halfway from
/// there, and at the end. A leak grows in both halves. Memory that the runtime needs once (say, for
/// another worker beside a goroutine that computes for long) is allocated in only one of them.
fn grows(name: &str, times: usize, ends: &Ends, round: impl FnMut(usize)) {
    grows_by(BOUND, name, times, ends, round);
}

/// Does the same as [`grows`], with a tolerance of `bound` bytes.
fn grows_by(bound: isize, name: &str, times: usize, ends: &Ends, mut round: impl FnMut(usize)) {
    let warm_up = times / 10;
    let middle = warm_up.midpoint(times);
    let mut used_after = |rounds: Range<usize>| {
        rounds.for_each(&mut round);
        in_use()
    };
    let before = used_after(0..warm_up);
    let between = used_after(warm_up..middle);
    let after = used_after(middle..times);
    let grown = (between - before).min(after - between);
    // A leak would be eight bytes a select, at least.
    let most = bound.min(4 * times as isize) / 2;
    assert!(
        grown < most,
        "{name}: {grown} bytes more, at least, in each half of {times} selects"
    );
    // No waiter is left in the idle channel, by any way to check.
    assert_eq!(
        ends.idle_tx.try_send(0),
        Err(TrySendError::Full(0)),
        "{name}"
    );
    assert_eq!(ends.idle.try_recv(), Err(TryRecvError::Empty), "{name}");
    let mut select = Select::new();
    select.send(&ends.idle_tx);
    assert_eq!(select.try_ready(), Err(TryReadyError), "{name}");
    // No waiter is left to take the place that becomes free.
    assert_eq!(
        (ends.full_rx.try_recv(), ends.full_rx.len()),
        (Ok(0), 0),
        "{name}"
    );
    ends.full.try_send(0).unwrap();
}

/// Runs `test` in a goroutine and on a thread, while no other test measures.
fn alone(test: fn(&Ends)) {
    let _alone = crate::alone();
    let run = move |capacity, times, local| {
        let (tx, rx) = bounded(capacity);
        let ((idle_tx, idle), (full, full_rx)) = (bounded(0), bounded(1));
        full.send(0).unwrap();
        test(&Ends {
            times,
            local,
            tx,
            rx,
            idle,
            idle_tx,
            full,
            full_rx,
        });
    };
    for capacity in [0, 1] {
        in_goroutine(move || run(capacity, SELECTS, true));
        // The second run has threads as partners, with fewer selects, because threads take many
        // times as long to wake each other.
        in_goroutine(move || run(capacity, SELECTS / 20, false));
        on_thread(move || run(capacity, SELECTS / 20, false));
    }
}

/// Runs `partner` in a goroutine.
fn start(ends: &Ends, partner: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    if ends.local {
        go!(local; { partner() })
    } else {
        go!({ partner() })
    }
}

/// Sends `times` messages, one at a time, so that each receive may have to wait.
fn feed(ends: &Ends, times: usize) {
    let tx = ends.tx.clone();
    start(ends, move || (0..times).for_each(|n| tx.send(n).unwrap()));
}

#[test]
fn selects_that_receive() {
    alone(|ends| {
        feed(ends, ends.times);
        grows("select!", ends.times, ends, |n| {
            let got = select! {
                recv(ends.rx) -> got => got,
                recv(ends.idle) -> got => panic!("{got:?}"),
                send(ends.full, 1) -> sent => panic!("{sent:?}"),
            };
            assert_eq!(got, Ok(n));
        });
    });
}

#[test]
fn selects_that_send() {
    alone(|ends| {
        let rx = ends.rx.clone();
        let times = ends.times;
        let receiving = start(ends, move || assert!(rx.iter().take(times).eq(0..times)));
        grows("select!", ends.times, ends, |n| {
            select_biased! {
                recv(ends.idle) -> got => panic!("{got:?}"),
                send(ends.full, 1) -> sent => panic!("{sent:?}"),
                send(ends.tx, n) -> sent => sent.unwrap(),
            }
        });
        receiving.join().unwrap();
    });
}

#[test]
fn selects_with_a_far_deadline() {
    const FAR: Duration = Duration::from_secs(3_600);
    alone(|ends| {
        feed(ends, ends.times);
        grows("default(FAR)", ends.times / 2, ends, |n| {
            let got = select! {
                recv(ends.rx) -> got => got,
                recv(ends.idle) -> got => panic!("{got:?}"),
                default(FAR) => panic!("an hour"),
            };
            assert_eq!(got, Ok(n));
        });
        grows("recv_timeout(FAR)", ends.times / 2, ends, |n| {
            assert_eq!(ends.rx.recv_timeout(FAR), Ok(ends.times / 2 + n));
        });
        feed(ends, ends.times / 4);
        grows("after(FAR)", ends.times / 4, ends, |n| {
            let got = select! {
                recv(ends.rx) -> got => got,
                recv(go_runtime::channel::after(FAR)) -> _ => panic!("an hour"),
            };
            assert_eq!(got, Ok(n));
        });
    });
}

#[test]
fn selects_that_do_not_wait() {
    alone(|ends| {
        grows("default", ends.times, ends, |_| {
            select! {
                recv(ends.idle) -> got => panic!("{got:?}"),
                send(ends.idle_tx, 1) -> sent => panic!("{sent:?}"),
                send(ends.full, 1) -> sent => panic!("{sent:?}"),
                default => {}
            }
        });
    });
}

#[test]
fn lists_made_each_time() {
    alone(|ends| {
        feed(ends, ends.times);
        grows("Select::new", ends.times, ends, |n| {
            let mut select = Select::new();
            select.send(&ends.full);
            select.recv(&ends.idle);
            let index = select.recv(&ends.rx);
            let operation = select.select();
            assert_eq!(
                (operation.index(), operation.recv(&ends.rx)),
                (index, Ok(n))
            );
        });
    });
}

#[test]
fn lists_used_again() {
    alone(|ends| {
        feed(ends, ends.times);
        let mut list = Select::new();
        list.send(&ends.full);
        list.recv(&ends.idle);
        list.recv(&ends.rx);
        grows("Select", ends.times, ends, |n| {
            // Adds one arm more than needed, and removes it again.
            let more = list.recv(&ends.idle);
            list.remove(more);
            assert_eq!(list.select().recv(&ends.rx), Ok(n));
        });
    });
}

#[test]
fn lists_that_look_what_is_ready() {
    alone(|ends| {
        feed(ends, ends.times);
        let mut list = Select::new();
        list.send(&ends.full);
        list.recv(&ends.idle);
        list.recv(&ends.rx);
        grows("Select::ready", ends.times, ends, |n| {
            assert_eq!(list.ready(), 2);
            assert_eq!(ends.rx.recv(), Ok(n));
        });
    });
}

/// A select whose timeout has passed leaves the queue as well.
#[test]
fn those_whose_time_is_over() {
    const SOON: Duration = Duration::from_nanos(1);
    alone(|ends| {
        grows("recv_timeout", ends.times / 20, ends, |_| {
            assert!(ends.idle.recv_timeout(SOON).is_err());
        });
        grows("send_timeout", ends.times / 20, ends, |_| {
            assert!(ends.full.send_timeout(1, SOON).is_err());
        });
        grows("default(SOON)", ends.times / 20, ends, |_| {
            select! {
                recv(ends.idle) -> got => panic!("{got:?}"),
                send(ends.full, 1) -> sent => panic!("{sent:?}"),
                default(SOON) => {}
            }
        });
        let mut list = Select::new();
        list.recv(&ends.idle);
        list.send(&ends.full);
        grows("select_timeout", ends.times / 20, ends, |_| {
            assert!(list.select_timeout(SOON).is_err())
        });
        grows("ready_timeout", ends.times / 20, ends, |_| {
            assert!(list.ready_timeout(SOON).is_err())
        });
    });
}

/// Channels, their messages and the goroutines that use them give all their memory back.
#[test]
fn channels_that_come_and_go() {
    /// Bytes of ended goroutines that are kept for later ones: some 32 KiB for each worker.
    const KEPT: isize = 128 << 10;
    const TIMES: usize = 20_000;
    alone(|ends| {
        grows_by(KEPT, "channels", TIMES, ends, |n| {
            let (tx, rx) = if n % 2 == 0 {
                unbounded()
            } else {
                bounded(n % 40 + 1)
            };
            (0..n % 40).for_each(|i| tx.send(vec![i; n % 7]).unwrap());
            let first = rx.try_recv().is_ok();
            assert_eq!(first, !n.is_multiple_of(40));
            let (done, ended) = bounded::<()>(0);
            go!({
                drop(rx);
                drop(done);
            });
            assert!(ended.recv().is_err());
            eventually(|| tx.send(vec![]).is_err());
        });
    });
}
