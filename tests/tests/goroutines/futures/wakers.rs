//! Wakers: which of them is called, and what happens if one panics, waits, or uses the channel.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};

use futures::FutureExt;
use go_runtime::channel::{self, RecvError, Sender};
use go_runtime::go;

use super::{Count, poll};
use go_tests::support::{NET, settle};

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

/// A panic of a waker concerns only its own task: all other waiters are woken, and the channel
/// works.
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

/// A waker that panics when it is cloned or dropped loses no message.
#[test]
fn a_waker_that_panics_when_cloned_or_dropped() {
    use std::task::{RawWaker, RawWakerVTable};
    static CLONED: RawWakerVTable =
        RawWakerVTable::new(|_| panic!("expected"), |_| {}, |_| {}, |_| {});
    static DROPPED: RawWakerVTable = RawWakerVTable::new(
        |sender| {
            // SAFETY: `sender` is the pointer to `tx` that the waker below was made from, and `tx`
            // lives as long as the waker.
            let tx = unsafe { &*sender.cast::<Sender<i32>>() };
            // The message arrives after the receiver's first check of the channel, and before its
            // second.
            tx.try_send(5).unwrap();
            RawWaker::new(sender, &DROPPED)
        },
        |_| {},
        |_| {},
        |_| panic!("expected"),
    );
    let (tx, rx) = channel::bounded::<i32>(1);
    // SAFETY: the functions of `CLONED` never use the data pointer, and cloning never returns a
    // waker.
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
    // SAFETY: the functions of `DROPPED` use `data` only as the `&Sender<i32>` that it was made
    // from; `tx` outlives the waker and its clones, and `Sender` may be used from any thread.
    let dropped =
        std::mem::ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(data, &DROPPED)) });
    let mut receiving = rx.recv_async();
    let got = receiving.poll_unpin(&mut Context::from_waker(&dropped));
    assert_eq!(got, Poll::Ready(Ok(5)));
}

/// A waker may use the channel, as it is not called under a lock.
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

/// A waker may wait for the goroutines that the same close wakes, wherever they stand in the queue.
#[test]
fn a_waker_may_wait_for_those_that_wake_with_it() {
    /// More than are woken at a time.
    const BEHIND: usize = 100;
    struct Waits(Mutex<mpsc::Receiver<()>>);
    impl Wake for Waits {
        fn wake(self: Arc<Self>) {
            let answers = self.0.lock().unwrap();
            for _ in 0..=BEHIND {
                answers.recv_timeout(NET).expect("one has not been woken");
            }
        }
    }
    let (tx, rx) = channel::bounded::<()>(0);
    let (answer, answers) = mpsc::channel();
    let wait = |count| {
        let (rx, answer) = (rx.clone(), answer.clone());
        go! {
            for _ in 0..count {
                go!(local; clone(rx, answer) {
                    assert!(rx.recv().is_err());
                    answer.send(()).unwrap();
                });
            }
            // Lets the goroutines begin to wait.
            settle();
        }
        .join()
        .unwrap();
    };
    let waker = Waker::from(Arc::new(Waits(Mutex::new(answers))));
    let mut future = pin!(rx.recv_async());
    wait(1);
    let mut context = Context::from_waker(&waker);
    assert!(future.as_mut().poll(&mut context).is_pending());
    wait(BEHIND);
    drop(tx);
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(
        future.as_mut().poll(&mut context),
        Poll::Ready(Err(RecvError))
    );
}
