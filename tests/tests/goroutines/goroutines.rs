//! Goroutines, channels and `select!`, used as in a program.

use std::cell::Cell;
use std::panic;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use go_runtime::channel::{
    RecvError, SendError, TryRecvError, TrySendError, after, bounded, never, unbounded,
};
use go_runtime::sync::WaitGroup;
use go_runtime::{Builder, go, gomaxprocs, select, select_biased, yield_now};

use go_tests::support;

mod join_arms;

#[test]
fn arguments_are_evaluated_in_the_caller_and_in_order() {
    let caller = thread::current().id();
    let log = Rc::new(Cell::new(String::new()));
    let note = |text: &str, value: i32| {
        assert_eq!(thread::current().id(), caller);
        log.set(log.take() + text);
        value
    };
    let sum = go!(i32::saturating_add(note("a", 1), note("b", 2)));
    assert_eq!(log.take(), "ab");
    assert_eq!(sum.join().unwrap(), 3);
    let sum = go!(note("r", 40).saturating_add(note("x", 2)));
    assert_eq!(log.take(), "rx");
    assert_eq!(sum.join().unwrap(), 42);
}

/// Printing a handle does not let other goroutines run.
#[test]
fn printing_a_handle_lets_no_other_goroutine_run() {
    support::in_goroutine(|| {
        let ran = Rc::new(Cell::new(false));
        let told = Rc::clone(&ran);
        let sibling = go!(local; move || told.set(true));
        for _ in 0..100 {
            assert!(format!("{sibling:?}").contains("is_finished: false"));
        }
        assert!(!ran.get());
        sibling.join().unwrap();
    });
}

#[test]
fn a_panic_ends_one_goroutine_only() {
    let failed = go!(name = "fails", stack_size = 64 << 10; { panic!("expected") });
    let payload = failed.join().unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"expected"));
    assert_eq!(go!(move || 1).join().unwrap(), 1);
}

#[test]
fn bad_stack_sizes_are_errors() {
    for size in [0, 3, usize::MAX] {
        let error = Builder::new().stack_size(size).spawn(|| ()).unwrap_err();
        assert!(error.to_string().contains("32 KiB"), "{error}");
    }
    let panic = panic::catch_unwind(|| go!(stack_size = 3; {})).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("3 bytes"));
}

#[test]
fn impossible_capacities_are_refused_and_units_take_no_room() {
    let panic = panic::catch_unwind(|| bounded::<u64>(usize::MAX)).unwrap_err();
    assert!(
        panic
            .downcast_ref::<String>()
            .unwrap()
            .contains("unbounded()")
    );
    let (tx, rx) = bounded::<()>(usize::MAX);
    tx.send(()).unwrap();
    assert_eq!(rx.len(), 1);
}

#[test]
fn goroutines_never_change_their_thread() {
    let handles: Vec<_> = (0..500)
        .map(|_| {
            go! {
                let home = thread::current().id();
                for _ in 0..50 {
                    yield_now();
                    let (tx, rx) = bounded(0);
                    go!(move || tx.send(1));
                    rx.recv().unwrap();
                    assert_eq!(thread::current().id(), home);
                }
            }
        })
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
}

#[test]
fn closing_the_done_channel_releases_everybody() {
    for close in [true, false] {
        let (stop, done) = bounded::<()>(0);
        let (_work, jobs) = unbounded::<i32>();
        let group = WaitGroup::new();
        group.add(10_000);
        for _ in 0..10_000 {
            go!(clone(done, jobs, group) {
                select! {
                    recv(done) -> gone => assert_eq!(gone, Err(RecvError)),
                    recv(jobs) -> _ => panic!("there is no work"),
                }
                group.done();
            });
        }
        if close {
            stop.close();
        }
        drop(stop);
        group.wait();
    }
}

#[test]
fn a_send_arm_that_fails_to_make_its_message_leaves_the_channel_usable() {
    fn fails() -> i32 {
        std::panic::panic_any("expected")
    }
    for capacity in [0, 1] {
        let (tx, rx) = bounded::<i32>(capacity);
        let receiver = go! {
            let first = rx.recv();
            (first, rx)
        };
        let sender = tx.clone();
        let failing = go! {
            select! { send(sender, fails()) -> _ => {} }
        };
        assert!(failing.join().is_err());
        tx.send(7).unwrap();
        let (first, rx) = receiver.join().unwrap();
        assert_eq!(first, Ok(7));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn select_loses_and_doubles_nothing() {
    // Beside busy processes each message takes long, and this test runs in four processes.
    const EACH: usize = if cfg!(debug_assertions) {
        10_000
    } else {
        50_000
    };
    let (atx, arx) = bounded(0);
    let (btx, brx) = bounded(3);
    let (stop, done) = bounded::<()>(0);
    let group = WaitGroup::new();
    for (base, tx) in [(0, atx.clone()), (EACH, btx.clone())] {
        group.add(1);
        go!(clone(group) {
            for i in 0..EACH {
                select! {
                    send(tx, base + i) -> sent => sent.unwrap(),
                    recv(never::<()>()) -> _ => unreachable!(),
                }
            }
            group.done();
        });
    }
    let seen = Arc::new(
        (0..2 * EACH)
            .map(|_| AtomicUsize::new(0))
            .collect::<Vec<_>>(),
    );
    let readers: Vec<_> = (0..3)
        .map(|_| {
            go!(clone(arx, brx, done, seen) {
                loop {
                    let got = select! {
                        recv(arx) -> v => v,
                        v = <-brx => v,
                        recv(done) -> _ => break,
                        default(Duration::from_micros(50)) => continue,
                    };
                    seen[got.unwrap()].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    group.wait();
    while !brx.is_empty() {
        yield_now();
    }
    drop(stop);
    for reader in readers {
        reader.join().unwrap();
    }
    drop((atx, btx));
    assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
}

#[test]
fn select_values_leave_and_stay_in_the_callers_scope() {
    fn first(rx: &go_runtime::channel::Receiver<i32>) -> Result<i32, RecvError> {
        let value = select! { recv(rx) -> v => v?, recv(after(Duration::from_secs(9))) -> _ => 0 };
        Ok(value + 1)
    }
    let (tx, rx) = unbounded();
    tx.send(1).unwrap();
    assert_eq!(first(&rx), Ok(2));
    tx.close();
    assert_eq!(first(&rx), Err(RecvError));
    let mut rounds = 0;
    loop {
        select_biased! {
            default => { rounds += 1; if rounds == 3 { break } else { continue } }
        }
    }
    assert_eq!(rounds, 3);
}

#[test]
fn closed_channels_give_messages_back() {
    let (tx, rx) = bounded(1);
    tx.send(1).unwrap();
    assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
    tx.close();
    tx.close();
    assert_eq!(tx.send(3), Err(SendError(3)));
    select! { send(tx, 4) -> sent => assert_eq!(sent, Err(SendError(4))) }
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Err(RecvError)));
}

#[test]
fn threads_and_goroutines_mix() {
    let (tx, rx) = bounded(0);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let tx = tx.clone();
            thread::spawn(move || (0..2_000).for_each(|_| tx.send(1).unwrap()))
        })
        .collect();
    let goroutines: Vec<_> = (0..4)
        .map(|_| go!(clone(rx) { rx.iter().take(2_000).sum::<i32>() }))
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    let sum: i32 = goroutines.into_iter().map(|g| g.join().unwrap()).sum();
    assert_eq!(sum, 8_000);
}

/// A drop that blocks while its goroutine unwinds blocks the thread, so that other goroutines on it
/// never see a panic.
#[test]
fn a_blocking_drop_does_not_switch_while_unwinding() {
    struct Waits(go_runtime::channel::Receiver<()>);
    impl Drop for Waits {
        fn drop(&mut self) {
            assert!(thread::panicking());
            let _ = self.0.recv();
        }
    }
    let (tx, rx) = bounded::<()>(0);
    let unwinding = go! {
        let _waits = Waits(rx);
        panic!("expected");
    };
    let others: Vec<_> = (0..100)
        .map(|_| go! { assert!(!thread::panicking()); })
        .collect();
    tx.send(()).unwrap();
    assert!(unwinding.join().is_err());
    others.into_iter().for_each(|o| o.join().unwrap());
}

#[test]
fn a_wait_group_says_when_it_is_misused() {
    let group = WaitGroup::new();
    let panic = panic::catch_unwind(|| group.done()).unwrap_err();
    assert!(
        panic
            .downcast_ref::<&str>()
            .unwrap()
            .contains("negative counter")
    );
}

/// A single call in braces follows Go's rule, and does what the same block would do.
#[test]
fn a_lone_chain_on_a_view_runs_in_the_goroutine() {
    let (tx, rx) = unbounded();
    let more = 1;
    let sum = go! { rx.iter().map(|n: i32| n + more).sum::<i32>() };
    tx.send(20).unwrap();
    tx.send(20).unwrap();
    drop(tx);
    assert_eq!(sum.join().unwrap(), 42);
    let names = std::sync::Mutex::new(vec!["a", "b"]);
    assert_eq!(go!(names.lock().unwrap().len()).join().unwrap(), 2);
}

/// The result of a detached goroutine is dropped after the goroutine's end, and may spawn
/// goroutines.
#[test]
fn a_result_that_spawns_when_dropped() {
    struct Spawns(go_runtime::channel::Sender<()>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let tx = self.0.clone();
            go!({ tx.send(()).unwrap() });
        }
    }
    let (tx, rx) = unbounded();
    for _ in 0..100 {
        let result = Spawns(tx.clone());
        go!(move || result);
    }
    drop(tx);
    assert_eq!(rx.iter().count(), 100);
}

/// Workers that always have goroutines to run also start goroutines that plain threads spawn.
#[test]
fn busy_workers_start_what_threads_spawn() {
    let stop = Arc::new(AtomicUsize::new(0));
    let busy: Vec<_> = (0..2 * gomaxprocs())
        .map(|_| {
            go!(clone(stop) {
                while stop.load(Ordering::Relaxed) == 0 {
                    yield_now();
                }
            })
        })
        .collect();
    for _ in 0..100 {
        go!({}).join().unwrap();
    }
    stop.store(1, Ordering::Relaxed);
    busy.into_iter().for_each(|busy| busy.join().unwrap());
}

#[test]
fn all_of_these_with_one_worker_and_with_many() {
    support::whole_module_with(
        &["1", "8", "16"],
        "all_of_these_with_one_worker_and_with_many",
    );
}

#[test]
fn a_handle_has_the_name() {
    support::in_both(|| {
        let (stop, done) = bounded::<()>(0);
        let named = go!(clone(done) { done.recv() });
        assert_eq!(named.name(), None);
        let named = Builder::new()
            .name("waiter")
            .spawn(move || done.recv())
            .unwrap();
        assert_eq!(named.name(), Some("waiter"));
        let own_thread = go!(name = format!("thread {}", 1), thread; {});
        assert_eq!(own_thread.name(), Some("thread 1"));
        drop(stop);
        support::eventually(|| named.is_finished() && own_thread.is_finished());
        // The name lives as long as the handle, even if the goroutine has ended.
        assert_eq!(named.name(), Some("waiter"));
        assert_eq!(own_thread.name(), Some("thread 1"));
        go_runtime::scope(|s| {
            let scoped = s.spawn_with(Builder::new().name("scoped"), || ()).unwrap();
            assert_eq!(scoped.name(), Some("scoped"));
        });
    });
}

#[test]
fn both_ends_know_whether_the_channel_is_closed() {
    let (tx, rx) = bounded::<i32>(1);
    assert!(!tx.is_closed() && !rx.is_closed());
    tx.send(1).unwrap();
    tx.close();
    assert!(tx.is_closed() && rx.is_closed());
    assert_eq!(rx.recv(), Ok(1));
    let (tx, rx) = unbounded::<i32>();
    drop(rx);
    assert!(tx.is_closed());
    let (tx, rx) = bounded::<i32>(0);
    drop(tx);
    assert!(rx.is_closed());
    assert!(!never::<i32>().is_closed() && !after(Duration::ZERO).is_closed());
}
