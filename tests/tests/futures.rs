//! Channels and async tasks: one queue for all, and futures that can be dropped at any point.

use std::collections::HashSet;
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::{FutureExt, StreamExt, select_biased};
use go_runtime::channel::{self, Receiver, RecvError, SendError, Sender, TryRecvError};
use go_runtime::{go, select, yield_now};

mod support;

/// Counts its wake-ups.
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

/// Senders and receivers of each kind on one channel; each message arrives once.
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

/// Futures wait in the same queue as everybody else.
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
fn the_newest_waker_is_woken() {
    let (tx, rx) = channel::bounded::<i32>(1);
    let (old, new) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let mut receiving = rx.recv_async();
    assert!(poll(&mut receiving, &old).is_pending());
    assert!(poll(&mut receiving, &new).is_pending());
    assert_eq!(Arc::strong_count(&old), 1, "the old one is let go");
    tx.send(7).unwrap();
    assert_eq!((old.get(), new.get()), (0, 1));
    assert_eq!(poll(&mut receiving, &new), Poll::Ready(Ok(7)));
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

/// A future that has been handed a message and is dropped gives it back, to who waits or else into the channel.
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
        // It is the first, though there is no place left for it, and keeps the order of the others.
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

/// Leaked futures leak, and nothing else: their waiters stay where they are.
#[test]
fn leaked_futures_stay_in_the_queue() {
    let count = Arc::new(Count::default());
    let (tx, rx) = channel::bounded(0);
    let mut receiving = rx.recv_async();
    assert!(poll(&mut receiving, &count).is_pending());
    std::mem::forget(receiving);
    // The leaked one was first, and gets the message; the next arrives.
    tx.try_send(1).unwrap();
    assert!(tx.try_send(2).is_err());
    let mut sending = tx.send_async(3);
    assert!(poll(&mut sending, &count).is_pending());
    std::mem::forget(sending);
    assert_eq!(rx.recv(), Ok(3));
}

/// While others send, futures are polled a few times and dropped. Every message arrives once, at whoever asks in the end.
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
    // What came back after the others had seen the end.
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

/// Sends that are dropped in the middle have happened, or not: the message arrives once, or is dropped.
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

/// The partner is a `send` arm of a `select!` that takes its time for the value. The task does not block meanwhile, and its future may go.
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

/// A waker that panics is its task's affair: everybody else is woken, and the channel works.
#[test]
fn a_waker_that_panics() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("expected");
        }
    }
    let bomb = Waker::from(Arc::new(Bomb));
    let count = Arc::new(Count::default());
    let (tx, rx) = channel::bounded::<i32>(0);
    let mut first = rx.recv_async();
    let mut second = rx.recv_async();
    let third = go!(rx.clone().recv());
    assert!(
        first
            .poll_unpin(&mut Context::from_waker(&bomb))
            .is_pending()
    );
    assert!(poll(&mut second, &count).is_pending());
    tx.close();
    assert_eq!(third.join().unwrap(), Err(RecvError));
    assert_eq!(poll(&mut first, &count), Poll::Ready(Err(RecvError)));
    assert_eq!(poll(&mut second, &count), Poll::Ready(Err(RecvError)));
}

/// A waker that panics when it is cloned or dropped costs no message.
#[test]
fn a_waker_that_panics_when_cloned_or_dropped() {
    use std::task::{RawWaker, RawWakerVTable};
    static CLONED: RawWakerVTable =
        RawWakerVTable::new(|_| panic!("expected"), |_| {}, |_| {}, |_| {});
    static DROPPED: RawWakerVTable = RawWakerVTable::new(
        |sender| {
            // SAFETY: `sender` is what the waker below was made of.
            let tx = unsafe { &*sender.cast::<Sender<i32>>() };
            // The message comes between the two looks of the receiver.
            tx.try_send(5).unwrap();
            RawWaker::new(sender, &DROPPED)
        },
        |_| {},
        |_| {},
        |_| panic!("expected"),
    );
    let (tx, rx) = channel::bounded::<i32>(1);
    // SAFETY: the functions do nothing but what is seen above; `tx` outlives the waker.
    let cloned = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &CLONED)) };
    tx.send(1).unwrap();
    let mut sending = tx.send_async(2);
    let mut context = Context::from_waker(&cloned);
    catch_unwind(AssertUnwindSafe(|| {
        sending.poll_unpin(&mut context).is_ready()
    }))
    .unwrap_err();
    assert_eq!(rx.recv(), Ok(1));
    assert_eq!(sending.poll_unpin(&mut context), Poll::Ready(Ok(())));
    assert_eq!(rx.recv(), Ok(2));

    let data = std::ptr::from_ref(&tx).cast();
    // SAFETY: as above.
    let dropped =
        std::mem::ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(data, &DROPPED)) });
    let mut receiving = rx.recv_async();
    let got = receiving.poll_unpin(&mut Context::from_waker(&dropped));
    assert_eq!(got, Poll::Ready(Ok(5)));
}

/// A waker may use the channel itself: it is not called under a lock.
#[test]
fn a_waker_that_uses_the_channel() {
    struct Again(Sender<i32>, AtomicBool);
    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            self.0.try_send(2).unwrap();
            self.1.store(true, Ordering::SeqCst);
        }
    }
    let (tx, rx) = channel::bounded(1);
    let again = Arc::new(Again(tx.clone(), AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&again));
    let mut receiving = rx.recv_async();
    let mut context = Context::from_waker(&waker);
    assert!(receiving.poll_unpin(&mut context).is_pending());
    tx.send(1).unwrap();
    assert!(again.1.load(Ordering::SeqCst));
    assert_eq!(receiving.poll_unpin(&mut context), Poll::Ready(Ok(1)));
    assert_eq!(rx.recv(), Ok(2));
}

#[test]
fn timed_channels() {
    block_on(async {
        let start = Instant::now();
        let after = channel::after(Duration::from_millis(5));
        assert!(after.recv_async().await.unwrap() >= start + Duration::from_millis(5));
        // There is one message. Whoever waits for the next waits for ever.
        assert!(after.recv_async().now_or_never().is_none());
        let tick = channel::tick(Duration::from_millis(1));
        let ticks: Vec<_> = tick.stream().take(3).collect().await;
        assert!(ticks[1] - ticks[0] >= Duration::from_millis(1));
        assert!(channel::never::<()>().recv_async().now_or_never().is_none());
    });
}

/// Two timed receives on one channel that gives one message: one of them gets it.
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

/// The futures work in others' `select!`, where the ones that lose are dropped each time.
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

/// Messages that borrow, and a future that is dropped while its message is on the way.
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

/// A goroutine ends while the future that waits for it goes.
#[test]
fn an_await_that_is_dropped_detaches() {
    let message = Arc::new(());
    let dropped = Arc::new(Count::default());
    for round in 0..20_000 {
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
    // The last goroutines may still be ending.
    support::eventually(|| Arc::strong_count(&message) == 1);
    support::eventually(|| Arc::strong_count(&dropped) == 1);
}
