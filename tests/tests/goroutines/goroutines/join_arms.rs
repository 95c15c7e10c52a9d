//! Handles as arms of a select, and waits for a goroutine with a deadline.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use go_runtime::channel::{Sender, bounded, never, unbounded};
use go_runtime::{go, panic_message, scope, select, select_biased, yield_now};

use go_tests::support;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn an_arm_gives_what_join_would() {
    support::in_both(|| {
        let child = go!({ 6 * 7 });
        let off = never::<()>();
        let result = select! {
            recv(child) -> result => result,
            recv(off) -> _ => unreachable!(),
        };
        assert_eq!(result.unwrap(), 42);
        let failed = go!({
            if true {
                panic!("no luck")
            }
        });
        let result = select_biased! {
            result = <-&failed => result,
            default(LONG) => unreachable!(),
        };
        assert_eq!(panic_message(&*result.unwrap_err()), "no luck");
        let here = String::from("here");
        scope(|s| {
            let child = go!(s; { here.len() });
            let failed = go!(s; { panic!("handled") });
            let length = select! { recv(child) -> length => length.unwrap() };
            assert_eq!(length, 4);
            select! { recv(failed) -> result => result.unwrap_err() };
        });
    });
}

#[test]
fn an_arm_that_loses_leaves_the_handle() {
    support::in_both(|| {
        let (stop, done) = bounded::<()>(0);
        let (tx, rx) = unbounded();
        let [joined, selected, awaited, dropped] =
            [(); 4].map(|()| go!(clone(done) { done.recv().is_err() }));
        for n in 0..3 {
            tx.send(n).unwrap();
            let all = (&joined, &selected, &awaited, &dropped);
            let got = select! {
                recv(all.0) -> _ => unreachable!(),
                recv(all.1) -> _ => unreachable!(),
                recv(all.2) -> _ => unreachable!(),
                recv(all.3) -> _ => unreachable!(),
                recv(rx) -> got => got.unwrap(),
            };
            assert_eq!(got, n);
        }
        let is_over = select! {
            recv(selected) -> _ => false,
            default => true,
        };
        assert!(is_over && !selected.is_finished());
        drop(dropped);
        drop(stop);
        assert!(joined.join().unwrap());
        assert!(select! { recv(selected) -> result => result.unwrap() });
        assert!(futures::executor::block_on(async {
            awaited.await.unwrap()
        }));
    });
}

#[test]
fn a_result_is_taken_once() {
    support::in_both(|| {
        let child = go!({ 1 });
        select! { recv(child) -> result => assert_eq!(result.unwrap(), 1) };
        assert!(child.is_finished());
        let again = catch_unwind(AssertUnwindSafe(|| {
            select! { recv(child) -> result => result.unwrap() }
        }));
        assert!(panic_message(&*again.unwrap_err()).contains("has been taken"));
        let joined = catch_unwind(AssertUnwindSafe(|| child.join().unwrap()));
        assert!(panic_message(&*joined.unwrap_err()).contains("has been taken"));
    });
}

#[test]
fn joins_with_a_deadline() {
    support::in_both(|| {
        let (stop, done) = bounded::<()>(0);
        let child = go!({ done.recv().is_err() });
        let child = child.join_timeout(Duration::ZERO).unwrap_err();
        let child = child.join_timeout(Duration::from_millis(1)).unwrap_err();
        drop(stop);
        let child = child.join_timeout(LONG).unwrap();
        assert!(child.unwrap());
        let ended = go!({ 2 }).join_timeout(Duration::MAX).unwrap();
        assert_eq!(ended.unwrap(), 2);
    });
}

/// The goroutine ends at about the time at which the select gives up, or the handle is dropped.
#[test]
fn races_with_the_end() {
    support::in_both(|| {
        for round in 0..300 {
            let (tx, rx) = bounded(1);
            let child = go!({
                if round % 2 == 0 {
                    let _ = tx.send(());
                }
                Box::new(round)
            });
            let result = select! {
                recv(child) -> result => Some(result),
                recv(rx) -> _ => None,
                default(Duration::from_micros(round % 20)) => None,
            };
            let result = match (result, round % 3) {
                (Some(result), _) => result,
                (None, 0) => child.join(),
                (None, 1) => select! { recv(child) -> result => result },
                (None, _) => continue,
            };
            assert_eq!(*result.unwrap(), round);
        }
    });
}

/// Two goroutines may wait for the end of one goroutine, by the same handle.
#[test]
fn one_of_two_gets_the_result() {
    support::in_both(|| {
        let (stop, done) = bounded::<()>(0);
        let child = go!({ done.recv().is_err() });
        let (tx, waits) = unbounded();
        scope(|s| {
            let two = [(); 2].map(|()| {
                let (child, tx) = (&child, tx.clone());
                go!(s; move {
                    tx.send(()).unwrap();
                    select! { recv(child) -> result => result.unwrap() }
                })
            });
            waits.iter().take(2).for_each(drop);
            yield_now();
            drop(stop);
            let results = two.map(|one| one.join());
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        });
    });
}

#[test]
fn a_send_arm_that_is_switched_off() {
    support::in_both(|| {
        let off = Sender::never();
        let (tx, rx) = bounded(1);
        for is_on in [false, true] {
            let sent = select! {
                send(if is_on { &tx } else { &off }, "message") -> sent => sent.is_ok(),
                default(Duration::from_millis(1)) => false,
            };
            assert_eq!(sent, is_on);
        }
        assert_eq!(rx.recv(), Ok("message"));
        assert!(off.try_send("a").unwrap_err().is_full());
        let late = off.send_timeout("b", Duration::from_millis(1)).unwrap_err();
        assert!(late.is_timeout() && off.is_empty() && off.is_full());
        drop(off.clone());
        assert!(off.try_send("c").unwrap_err().is_full());
        off.close();
        assert!(off.send("d").is_err());
    });
}

/// Go's idiom of the nil channel: an unbounded queue between two channels switches off each arm
/// that cannot proceed.
#[test]
fn a_queue_between_two_channels() {
    support::in_both(|| {
        let (tx, input) = bounded(0);
        let (output, rx) = bounded(0);
        let queue = go! {
            let (no_input, no_output) = (never(), Sender::never());
            let (mut queue, mut is_open) = (std::collections::VecDeque::new(), true);
            while is_open || !queue.is_empty() {
                select! {
                    recv(if is_open { &input } else { &no_input }) -> message => match message {
                        Ok(message) => queue.push_back(message),
                        Err(_) => is_open = false,
                    },
                    send(
                        if queue.is_empty() { &no_output } else { &output },
                        queue.pop_front().unwrap(),
                    ) -> sent => sent.unwrap(),
                }
            }
        };
        for n in 0..10 {
            tx.send(n).unwrap();
        }
        drop(tx);
        assert_eq!(rx.iter().collect::<Vec<i32>>(), (0..10).collect::<Vec<_>>());
        queue.join().unwrap();
    });
}
