//! User code that panics in the middle of an operation: in values, bodies, clones and iterations.
//! Also drops that use the channel.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use go_runtime::channel::{RecvError, SendError, Sender, TryRecvError, bounded, unbounded};
use go_runtime::{go, select, select_biased};

use super::{Drops, Message, is_usable, panics};
use go_tests::support::{eventually, in_both, in_goroutine, settle};

fn fails() -> Message {
    panic!("no value")
}

// --- The value of a `send` arm ---

#[test]
fn a_value_for_a_place() {
    in_both(|| {
        for capacity in [Some(1), Some(2), None] {
            let (drops, (tx, rx)) = (Drops::new(), capacity.map_or_else(unbounded, bounded));
            for _ in 0..3 {
                panics(
                    "no value",
                    || select! { send(tx, fails()) -> sent => panic!("{sent:?}") },
                );
                panics(
                    "no value",
                    || select! { tx <- fails() => panic!("sent"), default => panic!("room") },
                );
                panics(
                    "no value",
                    || select_biased! { send(tx, fails()) -> _ => {}, default => {} },
                );
            }
            is_usable(&tx, &rx, &drops);
        }
    });
}

/// The part of the value that has been made is dropped, and the other arms are unchanged.
#[test]
fn a_value_that_is_half_made() {
    in_both(|| {
        let (drops, (tx, rx)) = (Drops::new(), unbounded::<(Message, Message)>());
        let (other, waiting) = bounded(1);
        other.send(drops.plain(1)).unwrap();
        panics("no value", || {
            select_biased! {
                send(tx, (drops.plain(0), fails())) -> sent => panic!("{sent:?}"),
                recv(waiting) -> _ => panic!("it is the second"),
            }
        });
        assert_eq!((drops.of(), rx.len(), waiting.len()), (vec![0], 0, 1));
        assert_eq!(waiting.recv().unwrap().id, 1);
        is_usable(&other, &waiting, &drops);
    });
}

#[test]
fn a_value_for_a_closed_channel() {
    in_both(|| {
        let (drops, (tx, rx)) = (Drops::new(), bounded(2));
        tx.send(drops.plain(0)).unwrap();
        tx.close();
        panics(
            "no value",
            || select! { send(tx, fails()) -> sent => panic!("{sent:?}") },
        );
        assert_eq!(rx.recv().unwrap().id, 0);
        assert!(matches!(rx.recv(), Err(RecvError)));
    });
}

/// A receiver that waited for the message goes on waiting, and is served by the next sender.
#[test]
fn a_value_for_one_who_waits() {
    in_goroutine(|| {
        for in_select in [false, true] {
            let (drops, (tx, rx)) = (Drops::new(), bounded::<Message>(0));
            let receiving = go!(local; clone(rx) {
                if in_select {
                    select! { recv(rx) -> got => got.unwrap().id }
                } else {
                    rx.recv().unwrap().id
                }
            });
            settle();
            // The first arm is ready at once, because a receiver waits. The second arm has to wait
            // for one.
            panics("no value", || select! { send(tx, fails()) -> _ => {} });
            settle();
            assert!(!receiving.is_finished());
            tx.send(drops.plain(0)).unwrap();
            assert_eq!(receiving.join().unwrap(), 0);

            let failing = go!(local; clone(tx) { select! { send(tx, fails()) -> _ => {} } });
            settle();
            assert!(matches!(rx.try_recv(), Err(TryRecvError::Empty)));
            assert!(failing.join().is_err());
            is_usable(&tx, &rx, &drops);
        }
    });
}

/// If making the value panics, its place goes to the next waiter.
#[test]
fn a_value_for_a_place_that_others_wait_for() {
    in_goroutine(|| {
        let (drops, (tx, rx)) = (Drops::new(), bounded(1));
        let (open, gate) = bounded::<()>(0);
        let failing = go!(local; clone(tx) {
            select! { send(tx, { gate.recv().unwrap(); fails() }) -> _ => {} }
        });
        settle();
        let plain = go!(local; clone(tx, drops) { tx.send(drops.plain(0)).unwrap() });
        settle();
        let arm = go!(local; clone(tx, drops) {
            select! { send(tx, drops.plain(1)) -> sent => sent.unwrap() }
        });
        settle();
        assert!(!plain.is_finished() && !arm.is_finished() && rx.is_full());
        open.send(()).unwrap();
        assert!(failing.join().is_err());
        plain.join().unwrap();
        assert_eq!(rx.recv().unwrap().id, 0);
        arm.join().unwrap();
        assert_eq!(rx.recv().unwrap().id, 1);
        is_usable(&tx, &rx, &drops);
    });
}

/// A message whose clone panics stays in the channel.
#[test]
fn a_clone_that_panics() {
    struct Fragile(Message, Cell<u32>);
    impl Clone for Fragile {
        fn clone(&self) -> Fragile {
            let left = self.1.get();
            assert_ne!(left, 0, "no more clones");
            self.1.set(left - 1);
            Fragile(self.0.drops.plain(self.0.id + left as usize), Cell::new(0))
        }
    }
    in_both(|| {
        let (drops, (tx, rx)) = (Drops::new(), bounded(9));
        let original = Fragile(drops.plain(0), Cell::new(4));
        for _ in 0..2 {
            assert!(tx.send(original.clone()).is_ok());
            select! { send(tx, original.clone()) -> sent => assert!(sent.is_ok()) }
        }
        panics("no more clones", || tx.send(original.clone()));
        panics(
            "no more clones",
            || select! { send(tx, original.clone()) -> _ => {} },
        );
        assert!(drops.of().is_empty());
        assert!(rx.try_iter().map(|got| got.0.id).eq([4, 3, 2, 1]));
        assert_eq!(drops.of(), [1, 2, 3, 4]);
        assert!(tx.send(original).is_ok());
        assert_eq!(rx.recv().unwrap().0.id, 0);
        assert_eq!(drops.of(), [0, 1, 2, 3, 4]);
    });
}

// --- Bodies ---

/// A panic of the body drops the message that the body has received, and no other.
#[test]
fn a_body_that_panics() {
    in_both(|| {
        let (drops, (tx, rx)) = (Drops::new(), bounded(3));
        (0..3).for_each(|id| tx.send(drops.plain(id)).unwrap());
        panics(
            "body",
            || select! { recv(rx) -> message => { let _message = message; panic!("body") } },
        );
        assert_eq!((drops.of(), rx.len()), (vec![0], 2));
        panics("body", || select! { recv(rx) -> _ => panic!("body") });
        assert_eq!((drops.of(), rx.len()), (vec![0, 1], 1));
        // A message that has been sent stays sent.
        panics(
            "body",
            || select! { send(tx, drops.plain(3)) -> _ => panic!("body") },
        );
        assert!(rx.try_iter().map(|message| message.id).eq([2, 3]));
        assert_eq!(drops.of(), [0, 1, 2, 3]);
        panics(
            "body",
            || select! { recv(rx) -> _ => {}, default => panic!("body") },
        );
        is_usable(&tx, &rx, &drops);
    });
}

/// A body's panic ends its goroutine; the partner of its rendezvous has been served.
#[test]
fn a_body_that_ends_its_goroutine() {
    in_both(|| {
        let (drops, (tx, rx)) = (Drops::new(), bounded(0));
        for id in 0..5 {
            let failing = go!(clone(rx) { select! { recv(rx) -> _message => panic!("body") } });
            tx.send(drops.plain(id)).unwrap();
            assert!(failing.join().is_err());
        }
        for id in 5..10 {
            let failing = go!(clone(tx, drops) {
                select! { send(tx, drops.plain(id)) -> _ => panic!("body") }
            });
            assert_eq!(rx.recv().unwrap().id, id);
            assert!(failing.join().is_err());
        }
        assert!(drops.of().into_iter().eq(0..10));
        is_usable(&tx, &rx, &drops);
    });
}

#[test]
fn an_iteration_that_panics() {
    in_both(|| {
        let (drops, (tx, rx)) = (Drops::new(), bounded(6));
        (0..6).for_each(|id| tx.send(drops.plain(id)).unwrap());
        panics("loop", || {
            rx.iter()
                .for_each(|message| assert_ne!(message.id, 1, "loop"))
        });
        panics("loop", || {
            rx.try_iter()
                .for_each(|message| assert_ne!(message.id, 3, "loop"))
        });
        assert_eq!((drops.of(), rx.len()), (vec![0, 1, 2, 3], 2));
        // This loop owns the receiver, so the other messages are dropped with it.
        panics("loop", || {
            for message in rx {
                assert_ne!(message.id, 4, "loop");
            }
        });
        assert_eq!(drops.of(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(tx.send(drops.plain(6)).unwrap_err().0.id, 6);
    });
}

/// A goroutine that panics drops its ends of channels, as any other exit does, and waiters learn of
/// it.
#[test]
fn a_panic_closes_what_it_held() {
    in_both(|| {
        let (drops, (tx, rx)) = (Drops::new(), bounded(1));
        let (back, replies) = bounded::<usize>(0);
        let failing = go!({
            let first: Message = rx.recv().unwrap();
            assert_eq!(first.id, 9, "expected");
            back.send(1).unwrap();
        });
        let mut sent = 0;
        let refused = loop {
            match tx.send(drops.plain(sent)) {
                Ok(()) => sent += 1,
                Err(SendError(message)) => break message.id,
            }
        };
        assert_eq!(replies.recv(), Err(RecvError));
        assert!(failing.join().is_err());
        assert_eq!(refused, sent);
        assert!(drops.of().into_iter().eq(0..=sent));
    });
}

// --- Drops that use the channel ---

/// A message's drop inspects the message's own channel, sends to it and closes it. User code never
/// runs under the channel's lock.
#[test]
fn a_drop_that_uses_its_own_channel() {
    struct Nosy(Sender<Nosy>, Sender<&'static str>);
    impl Drop for Nosy {
        fn drop(&mut self) {
            let _ = (self.0.len(), self.0.is_full());
            let refused = self.0.try_send(Nosy(self.0.clone(), self.1.clone()));
            self.1
                .send(if refused.is_ok() { "sent" } else { "refused" })
                .unwrap();
            // The messages are leaked, because each of them sends another one when it is dropped.
            std::mem::forget(refused);
            self.0.close();
        }
    }
    in_both(|| {
        for capacity in [Some(3), None] {
            let (told, said) = unbounded();
            let (tx, rx) = capacity.map_or_else(unbounded, bounded);
            for _ in 0..2 {
                assert!(tx.send(Nosy(tx.clone(), told.clone())).is_ok());
            }
            drop(rx);
            assert_eq!(said.try_iter().collect::<Vec<_>>(), ["refused", "refused"]);

            let (tx, rx) = capacity.map_or_else(unbounded, bounded);
            assert!(tx.send(Nosy(tx.clone(), told.clone())).is_ok());
            // An arm that discards the message drops it.
            select! { recv(rx) -> _ => {} }
            assert_eq!(said.try_recv(), Ok("sent"));
            // A failed send on the closed channel also drops its message.
            assert!(tx.send(Nosy(tx.clone(), told.clone())).is_err());
            assert_eq!(said.try_recv(), Ok("refused"));
            std::mem::forget(rx.recv());
            assert!(rx.recv().is_err());
        }
    });
}

/// Dropping a message drops the receiver of another channel, and so on along a chain of channels;
/// one message panics.
#[test]
fn a_chain_of_channels_in_messages() {
    enum Link {
        Next(#[expect(dead_code, reason = "held")] go_runtime::channel::Receiver<Link>),
        Last(#[expect(dead_code, reason = "held")] Message),
    }
    in_both(|| {
        let drops = Drops::new();
        let mut senders = Vec::new();
        let (tx, mut rx) = unbounded();
        assert!(tx.send(Link::Last(drops.plain(0))).is_ok());
        assert!(tx.send(Link::Last(drops.armed(1))).is_ok());
        senders.push(tx);
        for _ in 0..50 {
            let (tx, outer) = unbounded();
            assert!(tx.send(Link::Next(rx)).is_ok());
            senders.push(tx);
            rx = outer;
        }
        catch_unwind(AssertUnwindSafe(|| drop(rx))).unwrap_err();
        assert_eq!(drops.of(), [0, 1]);
        for tx in senders {
            assert!(
                tx.send(Link::Last(drops.plain(2)))
                    .is_err_and(|SendError(message)| {
                        // Counted once, at the end.
                        std::mem::forget(message);
                        true
                    })
            );
        }
    });
}

/// Goroutines panic in all kinds of ways. Their partners on other workers and threads lose no
/// message.
#[test]
fn many_panic_at_once() {
    const EACH: usize = 300;
    fn fail_quietly() -> usize {
        std::panic::resume_unwind(Box::new(()))
    }
    in_both(|| {
        let (tx, rx) = bounded::<usize>(1);
        let (stop, stopped) = bounded::<()>(0);
        let failing: Vec<_> = (0..4)
            .map(|_| {
                go!(clone(tx, stopped) {
                    let mut times = 0;
                    loop {
                        let attempt = catch_unwind(AssertUnwindSafe(|| {
                            select! {
                                send(tx, fail_quietly()) -> _ => unreachable!(),
                                recv(stopped) -> _ => {}
                            }
                        }));
                        if attempt.is_ok() {
                            return times;
                        }
                        times += 1;
                        go_runtime::yield_now();
                    }
                })
            })
            .collect();
        let sending: Vec<_> = (0..2)
            .map(|me| go!(clone(tx) { (0..EACH).for_each(|n| tx.send(me * EACH + n).unwrap()) }))
            .collect();
        let mut seen = vec![0; 2 * EACH];
        rx.iter().take(2 * EACH).for_each(|n| seen[n] += 1);
        assert!(seen.iter().all(|times| *times == 1));
        sending
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        drop(stop);
        let times: usize = failing
            .into_iter()
            .map(|failing| failing.join().unwrap())
            .sum();
        assert!(times > 0);
        eventually(|| rx.is_empty() && !rx.is_full());
    });
}
