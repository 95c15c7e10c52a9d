//! `block_on`: futures in goroutines and on threads, with wakers that any thread may call at any
//! time.

use std::cell::Cell;
use std::future::{self, Future};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use go_runtime::channel::bounded;
use go_runtime::{Canceled, block_on, block_on_with, channel, go, scope, yield_now};

use go_tests::support::{at_several_gomaxprocs, in_both, in_goroutine};

/// A future that is pending the given number of times, and passes its waker to `give` each time.
struct Pending<F>(usize, F);

impl<F: FnMut(Waker) + Unpin> Future for Pending<F> {
    type Output = &'static str;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<&'static str> {
        if self.0 == 0 {
            return Poll::Ready("ready");
        }
        self.0 -= 1;
        (self.1)(context.waker().clone());
        Poll::Pending
    }
}

/// Returns a future that is pending once, but has already called its waker.
fn yielding() -> impl Future<Output = &'static str> {
    Pending(1, Waker::wake)
}

#[test]
fn what_is_ready_is_returned() {
    in_both(|| {
        let text = String::from("borrowed");
        let shared = Rc::new(Cell::new(1));
        let length = block_on(async {
            shared.set(shared.get() + 1);
            yielding().await;
            text.len()
        });
        assert_eq!((length, shared.get()), (8, 2));
        assert_eq!(block_on(future::ready(text)), "borrowed");
    });
}

/// Sends a message when it is dropped.
struct Told(mpsc::Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
    }
}

#[test]
fn a_done_channel_ends_it() {
    in_both(|| {
        // A done channel may have any type; a message ends the call, and stays.
        let (messages, done) = bounded::<String>(1);
        let (polled, polls) = bounded::<()>(1);
        let (dropped, drops) = mpsc::channel();
        let waiting = go!(clone(done) {
            let told = Told(dropped);
            let future = async move {
                let _told = told;
                polled.send(()).unwrap();
                future::pending::<()>().await;
            };
            block_on_with(&done, future)
        });
        polls.recv().unwrap();
        assert!(drops.try_recv().is_err());
        messages.send("enough".into()).unwrap();
        assert_eq!(waiting.join().unwrap(), Err(Canceled));
        assert_eq!(drops.try_recv(), Ok(()));
        // The done channel is ready from the start, so the future is not polled.
        let polled = future::poll_fn::<(), _>(|_| panic!("polled"));
        assert_eq!(block_on_with(&done, polled), Err(Canceled));
        assert_eq!(done.recv().unwrap(), "enough");
        // A future that wakes itself all the time does not keep the done channel from ending the
        // call.
        let waiting = go!(clone(done) {
            block_on_with(&done, async { loop { yielding().await; } })
        });
        yield_now();
        drop(messages);
        assert_eq!(waiting.join().unwrap(), Err::<(), _>(Canceled));
    });
}

/// Threads and goroutines call wakers while a done channel is watched: no call is lost.
#[test]
fn calls_beside_a_done_channel() {
    in_both(|| {
        let never = channel::never::<()>();
        assert_eq!(block_on_with(&never, yielding()), Ok("ready"));
        let by_threads = Pending(100, |waker: Waker| drop(thread::spawn(|| waker.wake())));
        assert_eq!(block_on_with(&never, by_threads), Ok("ready"));
        let by_goroutines = Pending(1000, |waker: Waker| drop(go!(move || waker.wake())));
        let (_open, done) = bounded::<()>(0);
        assert_eq!(block_on_with(&done, by_goroutines), Ok("ready"));
    });
}

#[test]
fn a_goroutine_is_awaited_and_messages_are() {
    in_both(|| {
        assert_eq!(block_on(go!({ 6 * 7 })).unwrap(), 42);
        let (tx, rx) = channel::bounded(0);
        let (back, returned) = channel::bounded(0);
        let echo = go! { rx.iter().for_each(|n: usize| back.send(n).unwrap()) };
        block_on(async {
            for n in 0..1000 {
                tx.send_async(n).await.unwrap();
                assert_eq!(returned.recv_async().await, Ok(n));
            }
        });
        drop(tx);
        echo.join().unwrap();
    });
}

/// Each goroutine keeps its thread, which runs other goroutines meanwhile.
#[test]
#[ignore = "run by with_several_gomaxprocs"]
fn many_goroutines_wait_and_the_worker_goes_on() {
    in_goroutine(|| {
        let (tx, rx) = channel::unbounded();
        let (started, starts) = channel::unbounded();
        let waiting: Vec<_> = (0..1000)
            .map(|_| {
                go!(clone(rx, started) {
                    let here = thread::current().id();
                    let got = block_on(async {
                        started.send(()).unwrap();
                        rx.recv_async().await.unwrap()
                    });
                    assert_eq!(thread::current().id(), here);
                    got
                })
            })
            .collect();
        starts.iter().take(1000).for_each(drop);
        (0..1000).for_each(|n: usize| tx.send(n).unwrap());
        let sum: usize = waiting.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(sum, 999 * 1000 / 2);
    });
}

/// A goroutine that waits by waking itself lets the goroutine that it waits for run.
#[test]
#[ignore = "run by with_several_gomaxprocs"]
fn one_that_wakes_itself_lets_others_run() {
    in_goroutine(|| {
        let done = Rc::new(Cell::new(false));
        let other = go!(local; clone(done) { done.set(true) });
        block_on(async {
            while !done.get() {
                yielding().await;
            }
        });
        other.join().unwrap();
    });
}

/// A thread and a goroutine call wakers before, during and after the wait, by reference and by
/// value.
#[test]
#[ignore = "run by with_several_gomaxprocs"]
fn wakers_are_called_by_anybody() {
    in_both(|| {
        let (to_goroutine, wakers) = channel::unbounded::<Waker>();
        let goroutine = go! { wakers.iter().for_each(Waker::wake) };
        let (to_thread, wakers) = mpsc::channel::<Waker>();
        let thread = thread::spawn(move || wakers.iter().for_each(|waker| waker.wake_by_ref()));
        // Unoptimized builds hand over less often: beside busy processes each time takes long.
        let rounds = if cfg!(debug_assertions) { 500 } else { 3_000 };
        for n in 0..rounds {
            let calls = Pending(3, |waker: Waker| match n % 4 {
                0 => to_goroutine.send(waker).unwrap(),
                1 => to_thread.send(waker).unwrap(),
                2 => {
                    to_goroutine.send(waker.clone()).unwrap();
                    to_thread.send(waker).unwrap();
                }
                _ => {
                    waker.wake_by_ref();
                    to_thread.send(waker).unwrap();
                }
            });
            assert_eq!(block_on(calls), "ready");
        }
        drop((to_goroutine, to_thread));
        goroutine.join().unwrap();
        thread.join().unwrap();
    });
}

/// Wakers may be called long after their `block_on` has returned, and dropped on another thread.
#[test]
fn late_wakers_do_nothing() {
    in_both(|| {
        let kept = Mutex::new(Vec::new());
        for _ in 0..10 {
            block_on(Pending(2, |waker: Waker| {
                kept.lock().unwrap().push(waker.clone());
                waker.wake();
            }));
        }
        let kept = kept.into_inner().unwrap();
        assert_eq!(kept.len(), 20);
        assert!(kept[0].will_wake(&kept[1]) && !kept[1].will_wake(&kept[2]));
        let late = thread::spawn(move || {
            kept.iter().for_each(Waker::wake_by_ref);
            kept.into_iter().for_each(Waker::wake);
        });
        // Another `block_on` is not disturbed.
        let (tx, rx) = channel::bounded::<()>(0);
        let waiting = go! { block_on(async move { rx.recv_async().await }) };
        late.join().unwrap();
        drop(tx);
        waiting.join().unwrap().unwrap_err();
    });
}

/// Libraries call wakers under their locks, where a goroutine may not park.
#[test]
#[ignore = "run by with_several_gomaxprocs"]
fn wakers_are_called_under_locks() {
    in_goroutine(|| {
        let place = Mutex::new((0, None::<Waker>));
        scope(|s| {
            for _ in 0..50 {
                go!(s; {
                    for _ in 0..100 {
                        let mut place = place.lock().unwrap();
                        place.0 += 1;
                        if let Some(waker) = place.1.take() {
                            waker.wake();
                        }
                        drop(place);
                        yield_now();
                    }
                });
            }
            block_on(future::poll_fn(|context| {
                let mut place = place.lock().unwrap();
                if place.0 == 5000 {
                    return Poll::Ready(());
                }
                place.1 = Some(context.waker().clone());
                Poll::Pending
            }));
        });
    });
}

#[test]
fn nothing_is_left() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    in_both(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (counted, result) = (Counted(Arc::clone(&drops)), Counted(Arc::clone(&drops)));
        let result = block_on(async move {
            let _counted = counted;
            yielding().await;
            result
        });
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        drop(result);
        assert_eq!(drops.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_panic_passes() {
    in_both(|| {
        let failed = panic::catch_unwind(|| {
            block_on(async {
                yielding().await;
                panic::panic_any(7_u8)
            })
        });
        assert_eq!(failed.unwrap_err().downcast_ref::<u8>(), Some(&7));
        assert_eq!(block_on(yielding()), "ready");
    });
}

#[test]
fn one_within_another() {
    in_both(|| {
        let (tx, rx) = channel::bounded(0);
        let sender = go! {
            for n in 0..3 {
                tx.send(n).unwrap();
            }
        };
        let got = block_on(async {
            let first = rx.recv_async().await.unwrap();
            let second = block_on(async {
                yielding().await;
                rx.recv_async().await.unwrap()
            });
            // A plain receive parks as well, in the middle of a poll.
            (first, second, rx.recv().unwrap())
        });
        assert_eq!(got, (0, 1, 2));
        sender.join().unwrap();
    });
}

/// In a `Drop` during unwinding goroutines do not switch: the call blocks its thread, and works.
#[test]
fn it_works_while_unwinding() {
    struct Last(mpsc::Sender<&'static str>);
    impl Drop for Last {
        fn drop(&mut self) {
            let (give, wakers) = mpsc::channel::<Waker>();
            let waking = thread::spawn(move || wakers.iter().for_each(Waker::wake));
            let got = block_on(Pending(5, move |waker: Waker| give.send(waker).unwrap()));
            waking.join().unwrap();
            self.0.send(got).unwrap();
            self.0.send(block_on(yielding())).unwrap();
        }
    }
    in_both(|| {
        let (tx, rx) = mpsc::channel();
        let failed = panic::catch_unwind(AssertUnwindSafe(|| {
            let _last = Last(tx);
            panic!("expected");
        }));
        assert!(failed.is_err());
        assert_eq!(rx.iter().collect::<Vec<_>>(), ["ready", "ready"]);
    });
}

#[test]
fn with_several_gomaxprocs() {
    at_several_gomaxprocs(&[
        "many_goroutines_wait",
        "one_that_wakes_itself",
        "wakers_are_called",
    ]);
}
