//! Channels and async tasks: goroutines and futures wait in one queue, and futures may be dropped
//! at any point.

use std::collections::HashSet;
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::{FutureExt, StreamExt, select_biased};
use go_runtime::channel::{self, Receiver, RecvError, SendError, TryRecvError};
use go_runtime::{go, select, yield_now};

use go_tests::support;

mod dropping;
mod wakers;

/// A waker that counts its calls.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn poll<F: Future + Unpin>(future: &mut F, count: &Arc<Count>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(count));
    future.poll_unpin(&mut Context::from_waker(&waker))
}

#[test]
fn futures_are_send_and_unpin() {
    fn check<T: Send + Sync + Unpin>(_: &T) {}
    let (tx, rx) = channel::unbounded::<String>();
    check(&rx.recv_async());
    check(&tx.send_async(String::new()));
    check(&rx.stream());
}

/// Senders and receivers of each kind share one channel; each message arrives once.
fn everybody_at_once(capacity: Option<usize>) {
    const EACH: usize = 2_000;
    let (tx, rx) = match capacity {
        Some(capacity) => channel::bounded(capacity),
        None => channel::unbounded(),
    };
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let range = |i: usize| i * EACH..(i + 1) * EACH;
    let there = tx.clone();
    go! { range(0).for_each(|n| there.send(n).unwrap()) };
    let there = tx.clone();
    thread::spawn(move || range(1).for_each(|n| there.send(n).unwrap()));
    let there = tx.clone();
    tokio.spawn(async move {
        for n in range(2) {
            there.send_async(n).await.unwrap();
        }
    });
    let there = tx;
    go! {
        for n in range(3) {
            select! { send(there, n) -> sent => sent.unwrap() }
        }
    };
    let here = rx.clone();
    let goroutine = go! { here.iter().collect::<Vec<_>>() };
    let here = rx.clone();
    let thread = thread::spawn(move || here.iter().collect::<Vec<_>>());
    let here = rx.clone();
    let task = tokio.spawn(here.into_stream().collect::<Vec<_>>());
    let selecting = go! {
        let mut got = Vec::new();
        loop {
            select! {
                recv(rx) -> n => match n {
                    Ok(n) => got.push(n),
                    Err(RecvError) => break got,
                },
            }
        }
    };
    let mut all = goroutine.join().unwrap();
    all.extend(thread.join().unwrap());
    all.extend(selecting.join().unwrap());
    all.extend(tokio.block_on(task).unwrap());
    assert_eq!(all.len(), 4 * EACH);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 4 * EACH);
}

#[test]
fn goroutines_threads_and_tasks_share_a_rendezvous() {
    everybody_at_once(Some(0));
}

#[test]
fn goroutines_threads_and_tasks_share_a_buffer() {
    everybody_at_once(Some(1));
    everybody_at_once(Some(16));
    everybody_at_once(None);
}

/// Futures wait in the same queue as goroutines and threads, first come, first served.
#[test]
fn who_came_first_is_served_first() {
    let (tx, rx) = channel::bounded(0);
    let count = Arc::new(Count::default());
    let mut first = rx.recv_async();
    let mut second = rx.recv_async();
    assert!(poll(&mut first, &count).is_pending());
    assert!(poll(&mut second, &count).is_pending());
    tx.try_send(1).unwrap();
    tx.try_send(2).unwrap();
    assert!(tx.try_send(3).is_err());
    assert_eq!(count.get(), 2);
    assert_eq!(poll(&mut second, &count), Poll::Ready(Ok(2)));
    assert_eq!(poll(&mut first, &count), Poll::Ready(Ok(1)));

    let mut first = tx.send_async(1);
    let mut second = tx.send_async(2);
    assert!(poll(&mut first, &count).is_pending());
    assert!(poll(&mut second, &count).is_pending());
    assert_eq!((rx.recv(), rx.try_recv()), (Ok(1), Ok(2)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(count.get(), 4);
    assert_eq!(poll(&mut second, &count), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut first, &count), Poll::Ready(Ok(())));
}

#[test]
fn a_close_ends_futures() {
    let count = Arc::new(Count::default());
    let (tx, rx) = channel::bounded::<i32>(0);
    let mut receiving = rx.recv_async();
    assert!(poll(&mut receiving, &count).is_pending());
    tx.close();
    assert_eq!(poll(&mut receiving, &count), Poll::Ready(Err(RecvError)));

    let (tx, rx) = channel::bounded(0);
    let mut sending = tx.send_async("back");
    assert!(poll(&mut sending, &count).is_pending());
    drop(rx);
    assert_eq!(
        poll(&mut sending, &count),
        Poll::Ready(Err(SendError("back")))
    );
    assert_eq!(count.get(), 2);
}

#[test]
fn a_future_is_over_once() {
    let (tx, rx) = channel::bounded(1);
    let count = Arc::new(Count::default());
    let mut sending = tx.send_async(1);
    assert!(poll(&mut sending, &count).is_ready());
    catch_unwind(AssertUnwindSafe(|| poll(&mut sending, &count))).unwrap_err();
    let mut receiving = rx.recv_async();
    assert!(poll(&mut receiving, &count).is_ready());
    catch_unwind(AssertUnwindSafe(|| poll(&mut receiving, &count))).unwrap_err();
}

#[test]
fn timed_channels() {
    block_on(async {
        let start = Instant::now();
        let after = channel::after(Duration::from_millis(5));
        assert!(after.recv_async().await.unwrap() >= start + Duration::from_millis(5));
        // There is only one message, so a further receive would wait for ever.
        assert!(after.recv_async().now_or_never().is_none());
        let tick = channel::tick(Duration::from_millis(1));
        let ticks: Vec<_> = tick.stream().take(3).collect().await;
        assert!(ticks[1] - ticks[0] >= Duration::from_millis(1));
        assert!(channel::never::<()>().recv_async().now_or_never().is_none());
    });
}

/// One of two timed receives on a channel with a single message gets it.
#[test]
fn a_timed_message_is_received_once() {
    let after = channel::after(Duration::from_millis(5));
    let (first, second) = (after.clone(), after.clone());
    let (first, second) = (first.recv_async(), second.recv_async());
    let got = block_on(futures::future::select(first, second));
    let rest = got.factor_first().1;
    assert!(rest.now_or_never().is_none());
    assert_eq!(after.try_recv(), Err(TryRecvError::Empty));
}

/// The channels' futures work in the `select!` of the `futures` crate, which drops the losing ones
/// each time.
#[test]
fn in_the_futures_crates_select() {
    const EACH: usize = 5_000;
    fn feed(from: usize) -> Receiver<usize> {
        let (tx, rx) = channel::bounded(0);
        go! { (from..from + EACH).for_each(|n| tx.send(n).unwrap()) };
        rx
    }
    let (mut a, mut b) = (feed(0), feed(EACH));
    let got = block_on(async {
        let (mut got, mut open) = (Vec::new(), 2);
        while open > 0 {
            let (message, from) = select_biased! {
                message = b.recv_async() => (message, &mut b),
                message = a.recv_async() => (message, &mut a),
            };
            match message {
                Ok(n) => got.push(n),
                Err(RecvError) => {
                    open -= 1;
                    *from = channel::never();
                }
            }
        }
        got
    });
    assert_eq!(got.len(), 2 * EACH);
    assert_eq!(got.into_iter().collect::<HashSet<_>>().len(), 2 * EACH);
}

#[test]
fn a_goroutine_is_awaited() {
    let (tx, rx) = channel::bounded::<i32>(0);
    let count = Arc::new(Count::default());
    let mut joining = go!(clone(rx) { rx.recv().unwrap() }).into_future();
    assert!(poll(&mut joining, &count).is_pending());
    let new = Arc::new(Count::default());
    assert!(poll(&mut joining, &new).is_pending());
    tx.send(5).unwrap();
    support::eventually(|| new.get() > 0);
    assert_eq!(count.get(), 0);
    match poll(&mut joining, &new) {
        Poll::Ready(result) => assert_eq!(result.unwrap(), 5),
        Poll::Pending => panic!("woken in vain"),
    }
    catch_unwind(AssertUnwindSafe(|| poll(&mut joining, &new).is_ready())).unwrap_err();

    let failed = go! { panic!("expected") };
    assert!(block_on(failed.into_future()).is_err());
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let sum = tokio.block_on(async {
        let handles: Vec<_> = (0..1000).map(|n| go! { yield_now(); n }).collect();
        let mut sum = 0;
        for handle in handles {
            sum += handle.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 499_500);
}
