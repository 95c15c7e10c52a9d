//! `Select` lists that are sent to another thread although their messages must not be, and
//! timeouts, iterators and futures in rare cases.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use go_runtime::channel::{RecvTimeoutError, Select, after, at, bounded, never, unbounded};
use go_runtime::{go, num_goroutines, select};

use go_tests::support;

/// A message that is not `Send`: only the thread that made it may drop it.
struct Local<'a> {
    home: ThreadId,
    dropped: &'a AtomicUsize,
    not_send: PhantomData<*const ()>,
}

impl<'a> Local<'a> {
    fn new(dropped: &'a AtomicUsize) -> Local<'a> {
        Local {
            home: thread::current().id(),
            dropped,
            not_send: PhantomData,
        }
    }
}

impl Drop for Local<'_> {
    fn drop(&mut self) {
        // The drop is counted first, because the next line may panic, and the caller may take that
        // panic for the expected one.
        self.dropped.fetch_add(1, Ordering::Relaxed);
        assert_eq!(thread::current().id(), self.home, "dropped elsewhere");
    }
}

/// Takes an operation from the list and drops it without completing it.
fn abandon(list: &mut Select<'_>) {
    let operation = list.select();
    catch_unwind(AssertUnwindSafe(|| drop(operation))).unwrap_err();
}

/// A list that was sent to another thread may choose to receive such a message there, but has no
/// receiver to take the message out with.
#[test]
fn what_is_not_send_is_dropped_at_home_or_leaked() {
    let dropped = AtomicUsize::new(0);
    let (tx, rx) = bounded(1);
    let mut list = Select::new();
    list.recv(&rx);

    assert!(tx.send(Local::new(&dropped)).is_ok());
    abandon(&mut list);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);

    assert!(tx.send(Local::new(&dropped)).is_ok());
    let mut clone = list.clone();
    thread::scope(|s| s.spawn(move || abandon(&mut clone)).join().unwrap());
    assert_eq!(dropped.load(Ordering::Relaxed), 1, "leaked");

    // A clone that was made on the other thread knows which thread owns its messages.
    assert!(tx.send(Local::new(&dropped)).is_ok());
    thread::scope(|s| s.spawn(|| abandon(&mut list.clone())).join().unwrap());
    assert_eq!(dropped.load(Ordering::Relaxed), 1, "leaked");
}

/// A list on another thread breaks its promise to a future, after the future and the last receiver
/// were dropped. That thread must not drop the messages in the buffer.
#[test]
fn a_foreign_list_and_a_future_that_has_gone() {
    let dropped = AtomicUsize::new(0);
    let (tx, rx) = bounded(5);
    let (chosen, is_chosen) = bounded::<()>(0);
    let (go_on, may_go_on) = bounded::<()>(0);
    thread::scope(|s| {
        let mut receiving = Box::pin(rx.recv_async());
        let mut context = Context::from_waker(Waker::noop());
        assert!(receiving.as_mut().poll(&mut context).is_pending());
        let mut list = Select::new();
        list.send(&tx);
        let foreign = s.spawn(move || {
            let operation = list.select();
            chosen.send(()).unwrap();
            may_go_on.recv().unwrap();
            catch_unwind(AssertUnwindSafe(|| drop(operation))).unwrap_err();
        });
        is_chosen.recv().unwrap();
        assert!(tx.send(Local::new(&dropped)).is_ok());
        drop(receiving);
        drop(rx);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
        go_on.send(()).unwrap();
        foreign.join().unwrap();
    });
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

/// When its timeout passes, a select checks its arms once more: an arm that has become ready
/// counts, however late the select is woken.
#[test]
fn a_late_timeout_sees_what_is_ready() {
    support::in_goroutine(|| {
        let due = Instant::now() + Duration::from_millis(5);
        // This holds the worker until both moments have passed.
        let busy = go!(local; move || {
            while Instant::now() < due + Duration::from_millis(10) {
                std::hint::spin_loop();
            }
        });
        let seen = select! {
            recv(at(due)) -> moment => moment.ok(),
            recv(never::<()>()) -> _ => None,
            default(Duration::from_millis(10)) => None,
        };
        assert_eq!(seen, Some(due));
        busy.join().unwrap();
    });
}

/// An iterator that has returned `None` keeps doing so, even if a dropped future puts a message
/// back.
#[test]
fn the_end_of_an_iterator_is_the_end() {
    let (tx, rx) = unbounded();
    let mut receiving = pin!(rx.recv_async());
    let mut context = Context::from_waker(Waker::noop());
    assert!(receiving.as_mut().poll(&mut context).is_pending());
    tx.send(1).unwrap();
    drop(tx);
    let (mut iter, mut owning) = (rx.iter(), rx.clone().into_iter());
    assert_eq!((iter.next(), owning.next()), (None, None));
    receiving.set(rx.recv_async());
    assert_eq!((iter.next(), owning.next()), (None, None));
    assert_eq!(rx.recv(), Ok(1));
}

/// Dropping a future on a timed channel removes its alarm, and its task is not woken.
#[test]
fn dropped_alarms_are_gone() {
    const THIS: &str = "dropped_alarms_are_gone";
    // The test counts goroutines, so it needs a process of its own.
    if std::env::var_os("ALONE").is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &support::full_name(THIS)])
            .env("ALONE", "1")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        return;
    }
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl std::task::Wake for Count {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let count = std::sync::Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let hour = after(Duration::from_secs(3600));
    for _ in 0..10 {
        let mut receiving = Box::pin(hour.recv_async());
        let mut context = Context::from_waker(&waker);
        assert!(receiving.as_mut().poll(&mut context).is_pending());
    }
    support::eventually(|| num_goroutines() == 0);
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    assert_eq!(
        hour.recv_timeout(Duration::ZERO),
        Err(RecvTimeoutError::Timeout)
    );
}
