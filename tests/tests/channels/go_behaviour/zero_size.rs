//! Go's `test/chan`, zerosize: messages of size zero are counted, dropped and handed over as others
//! are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use go_runtime::channel::bounded;
use go_runtime::go;

use go_tests::support::in_both;

#[test]
fn zerosize_messages_are_counted() {
    in_both(|| {
        for capacity in [1, 5, 1_000, usize::MAX] {
            let (tx, rx) = bounded::<[u64; 0]>(capacity);
            let fill = capacity.min(1_000);
            for n in 0..fill {
                assert_eq!((tx.try_send([]), rx.len()), (Ok(()), n + 1));
            }
            assert_eq!(rx.is_full(), capacity == fill);
            assert_eq!(tx.try_send([]).is_err(), capacity == fill);
            drop(tx);
            // One message may have been added to the initial ones.
            assert_eq!(rx.iter().count(), fill + usize::from(capacity != fill));
        }
    });
}

#[test]
fn zerosize_messages_are_dropped_once() {
    static ALIVE: AtomicUsize = AtomicUsize::new(0);
    struct Unit;
    impl Unit {
        fn new() -> Unit {
            ALIVE.fetch_add(1, Ordering::Relaxed);
            Unit
        }
    }
    impl Drop for Unit {
        fn drop(&mut self) {
            assert_ne!(ALIVE.fetch_sub(1, Ordering::Relaxed), 0, "dropped twice");
        }
    }
    assert_eq!(size_of::<Unit>(), 0);
    for capacity in [0, 2] {
        let (tx, rx) = bounded(capacity);
        let sending = go!({ (0..100).filter(|_| tx.send(Unit::new()).is_ok()).count() });
        // The other messages return to the sender, or stay in the buffer and are dropped with it.
        let got = rx.iter().take(50).count();
        drop(rx);
        let sent = sending.join().unwrap();
        assert!((got..=got + capacity).contains(&sent), "{sent}");
        assert_eq!(ALIVE.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn zerosize_rendezvous_pairs_up() {
    let passed = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = bounded::<()>(0);
    let receiving = go!(clone(passed) {
        for n in 0..1_000 {
            assert!(passed.load(Ordering::SeqCst) <= n, "sent before it was received");
            rx.recv().unwrap();
        }
    });
    for _ in 0..1_000 {
        tx.send(()).unwrap();
        passed.fetch_add(1, Ordering::SeqCst);
    }
    receiving.join().unwrap();
}
