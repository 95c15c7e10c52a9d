//! Go's `test/chan`, select5, apart from the order: each expression of a select is evaluated once,
//! even if the select retries. It may panic, or be a select itself.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use go_runtime::channel::{bounded, unbounded};
use go_runtime::{go, select};

use go_tests::support::{in_both, in_goroutine, settle};

/// A select that retries, because a partner has left, evaluates nothing again.
#[test]
fn select5_evaluates_once() {
    in_goroutine(|| {
        let (tx, rx) = bounded::<i32>(0);
        let log = Rc::new(RefCell::new(Vec::new()));
        let waiting = go!(local; clone(log, rx) {
            let receiver = |name| { log.borrow_mut().push(name); &rx };
            select! {
                recv(receiver("first")) -> got => got,
                recv(receiver("second")) -> got => got,
            }
        });
        settle();
        for _ in 0..10 {
            let has_message = log.borrow().is_empty();
            let leaving = go!(local; clone(tx) {
                select! { send(tx, if has_message { 0 } else { return }) -> _ => {} }
            });
            leaving.join().unwrap();
            settle();
        }
        assert!(!waiting.is_finished());
        tx.send(1).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(1));
        assert_eq!(*log.borrow(), ["first", "second"]);
    });
}

/// If an expression panics on entering, later ones are not evaluated, and no channel has been
/// touched.
#[test]
fn select5_entering_panics() {
    in_both(|| {
        let (tx, rx) = unbounded();
        tx.send(1).unwrap();
        let log = RefCell::new(Vec::new());
        let note = |name, fails: bool| {
            log.borrow_mut().push(name);
            assert!(!fails, "expected");
        };
        catch_unwind(AssertUnwindSafe(|| {
            select! {
                recv({ note("a", false); &rx }) -> _ => note("body", false),
                send({ note("b", true); &tx }, { note("value", false); 2 }) -> _ => {
                    note("body", false)
                }
                recv({ note("c", false); &rx }) -> _ => note("body", false),
            }
        }))
        .unwrap_err();
        assert_eq!(*log.borrow(), ["a", "b"]);
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1]);
    });
}

/// Every expression of a select may itself be a select. The outer ones are evaluated on entering,
/// then those of the chosen arm.
#[test]
fn select5_nested() {
    in_both(|| {
        let (tx, rx) = unbounded();
        let log = RefCell::new(Vec::new());
        let note = |name| log.borrow_mut().push(name);
        let value = select! {
            recv(select! { default => { note("channel"); &rx } }) -> got => got.unwrap(),
            send(&tx, select! {
                send(tx, { note("inner value"); 1 }) -> _ => { note("value"); 2 }
            }) -> sent => {
                sent.unwrap();
                select! { recv(rx) -> got => { note("body"); got.unwrap() } }
            }
            default(select! { default => { note("duration"); Duration::ZERO } }) => {
                panic!("there is room")
            }
        };
        assert_eq!(
            *log.borrow(),
            ["channel", "duration", "inner value", "value", "body"]
        );
        assert_eq!((value, rx.try_recv()), (1, Ok(2)));
    });
}
