//! Go's `runtime/chan_test.go`: TestSelectStress, TestSelectFairness, TestPseudoRandomSend,
//! TestMultiConsumer, TestChanSendSelectBarrier and TestChanSendBarrier. Many goroutines share few
//! channels.

use std::sync::Arc;
use std::thread;

use go_runtime::channel::{Receiver, Sender, bounded, never};
use go_runtime::{go, select, yield_now};

use super::races::{Message, all_once_in_order};

use go_tests::support::{eventually, in_both};

// --- TestSelectStress ---

/// Each of four channels has its own sender and receiver, and a sending and a receiving select use
/// all four.
#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn select_stress() {
    const EACH: usize = 5_000;
    in_both(|| {
        let channels = [0, 0, 2, 3].map(bounded::<Message>);
        let (txs, rxs): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
        let mut receiving: Vec<_> = rxs
            .iter()
            .cloned()
            .map(|rx| go!({ rx.iter().take(EACH).collect::<Vec<_>>() }))
            .collect();
        let sending: Vec<_> = (0..4)
            .map(|i| {
                let tx = txs[i].clone();
                go! { (0..EACH).for_each(|n| tx.send((i, n)).unwrap()) }
            })
            .collect();
        receiving.push(go!({ select_from_all(&rxs, EACH) }));
        let selecting = go!({ select_to_all(&txs, EACH) });
        sending
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        selecting.join().unwrap();
        let received: Vec<_> = receiving.into_iter().map(|r| r.join().unwrap()).collect();
        all_once_in_order(&received, 8, EACH);
        // Each receiver has messages from its own channel only.
        for (i, alone) in received[..4].iter().enumerate() {
            assert!(alone.iter().all(|(sender, _)| sender % 4 == i));
        }
    });
}

/// Sends `each` messages to each of the four channels, as senders 4 to 7. When a channel has had
/// its share, one without receivers takes its place.
fn select_to_all(txs: &[Sender<Message>], each: usize) {
    let (off, _nobody) = bounded(0);
    let mut done = [0; 4];
    for _ in 0..4 * each {
        let tx = |i: usize| if done[i] < each { &txs[i] } else { &off };
        let i = select! {
            send(tx(0), (4, done[0])) -> sent => { sent.unwrap(); 0 }
            tx(3) <- (7, done[3]) => 3,
            send(tx(2), (6, done[2])) -> sent => { sent.unwrap(); 2 }
            send(tx(1), (5, done[1])) -> sent => { sent.unwrap(); 1 }
        };
        done[i] += 1;
    }
    assert_eq!(done, [each; 4]);
}

fn select_from_all(rxs: &[Receiver<Message>], each: usize) -> Vec<Message> {
    let off = never();
    let (mut done, mut received) = ([0; 4], Vec::new());
    for _ in 0..4 * each {
        let rx = |i: usize| if done[i] < each { &rxs[i] } else { &off };
        let (i, message) = select! {
            recv(rx(0)) -> message => (0, message),
            recv(rx(1)) -> message => (1, message),
            message = <-rx(2) => (2, message),
            message = <-rx(3) => (3, message),
        };
        let message = message.unwrap();
        assert_eq!(message.0 % 4, i, "it came through its channel");
        done[i] += 1;
        received.push(message);
    }
    assert_eq!(done, [each; 4]);
    received
}

// --- TestSelectFairness ---

/// A select from two sources that are always ready sends to two readers: both sources are served.
#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn select_fairness() {
    const TRIALS: usize = 10_000;
    in_both(|| {
        let sources = [1, 2].map(|source| {
            let (tx, rx) = bounded(TRIALS);
            (0..TRIALS).for_each(|_| tx.send(source).unwrap());
            (tx, rx)
        });
        let [(_keep, one), (_keep_2, two)] = sources;
        let ((out_one, read_one), (out_two, read_two)) = (bounded(0), bounded(0));
        let (stop, stopped) = bounded::<()>(0);
        let selecting = go! {
            loop {
                let n = select! { recv(one) -> n => n.unwrap(), recv(two) -> n => n.unwrap() };
                select! {
                    send(out_one, n) -> sent => sent.unwrap(),
                    send(out_two, n) -> sent => sent.unwrap(),
                    recv(stopped) -> _ => return,
                }
            }
        };
        let mut counts = [0_usize; 2];
        for _ in 0..TRIALS {
            let n =
                select! { recv(read_one) -> n => n.unwrap(), recv(read_two) -> n => n.unwrap() };
            counts[n - 1] += 1;
        }
        drop(stop);
        selecting.join().unwrap();
        // Six standard deviations of a fair coin: 6 * sqrt(TRIALS) / 2.
        assert!(counts[0].abs_diff(counts[1]) < 2 * 300, "{counts:?}");
    });
}

// --- TestPseudoRandomSend ---

#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn pseudo_random_send() {
    const COUNT: usize = 1_000;
    in_both(|| {
        for capacity in [0, COUNT] {
            let (tx, rx) = bounded(capacity);
            let receiving = go! {
                let mut counts = [0; 2];
                for n in rx {
                    counts[n] += 1;
                    yield_now();
                }
                counts
            };
            for _ in 0..COUNT {
                select! {
                    send(tx, 0) -> sent => sent.unwrap(),
                    send(tx, 1) -> sent => sent.unwrap(),
                }
            }
            drop(tx);
            let counts = receiving.join().unwrap();
            assert_eq!(counts[0] + counts[1], COUNT);
            // Six standard deviations, 6 * sqrt(COUNT) / 2, are 95.
            assert!(counts[0].abs_diff(COUNT / 2) < 95, "{counts:?}");
        }
    });
}

// --- TestMultiConsumer ---

#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn multi_consumer() {
    const WORKERS: usize = 23;
    const COUNT: usize = 30_000;
    in_both(|| {
        let (jobs, todo) = bounded(3 * WORKERS);
        let (done, results) = bounded(3 * WORKERS);
        for worker in 0..WORKERS {
            go!(clone(todo, done) {
                for job in todo {
                    // Keeps the workers from taking jobs in a fixed order.
                    if job % WORKERS == worker {
                        yield_now();
                    }
                    done.send((worker, job)).unwrap();
                }
            });
        }
        drop((todo, done));
        let feeding = go! { (0..COUNT).for_each(|job| jobs.send(job).unwrap()) };
        let mut seen = vec![0; COUNT];
        for (worker, job) in results {
            assert!(worker < WORKERS);
            seen[job] += 1;
        }
        assert!(seen.iter().all(|times| *times == 1));
        feeding.join().unwrap();
    });
}

// --- TestChanSendSelectBarrier and TestChanSendBarrier ---

/// Go's garbage collector has to be told of pointers that a send writes into another goroutine's
/// stack. Here the messages own memory. The tests check that this memory arrives whole and is freed
/// once, however it is sent.
fn owned_messages(in_select: bool) {
    const GOROUTINES: usize = 50;
    const REQUESTS: usize = 100;
    struct Answer {
        text: String,
        parts: Box<[Box<usize>]>,
        token: Arc<()>,
    }
    let token = Arc::new(());
    let answer = |n: usize, token: Arc<()>| Answer {
        text: format!("answer {n}"),
        parts: (0..n % 5).map(Box::new).collect(),
        token,
    };
    let asking: Vec<_> = (0..GOROUTINES)
        .map(|goroutine| {
            go!(clone(token) {
                let mut kept = Vec::new();
                for request in 0..REQUESTS {
                    let (tx, rx) = bounded(request % 2);
                    let (_never, nothing) = bounded::<()>(0);
                    let n = goroutine * REQUESTS + request;
                    go!(clone(token) {
                        if in_select {
                            select! {
                                send(tx, answer(n, token)) -> sent => assert!(sent.is_ok()),
                                recv(nothing) -> _ => panic!("nothing"),
                            }
                        } else {
                            assert!(tx.send(answer(n, token)).is_ok());
                        }
                    });
                    let answer: Answer = rx.recv().unwrap();
                    assert_eq!(answer.text, format!("answer {n}"));
                    assert!(answer.parts.iter().map(|part| **part).eq(0..n % 5));
                    kept.push(answer.token);
                }
                kept
            })
        })
        .collect();
    let kept: Vec<_> = asking
        .into_iter()
        .flat_map(|goroutine| goroutine.join().unwrap())
        .collect();
    assert_eq!(kept.len(), GOROUTINES * REQUESTS);
    // Waits, because the goroutines that answered may not have ended yet.
    eventually(|| Arc::strong_count(&token) == kept.len() + 1);
    drop(kept);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn chan_send_barrier() {
    in_both(|| owned_messages(false));
}

#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn chan_send_select_barrier() {
    in_both(|| owned_messages(true));
}

/// Plain threads and goroutines share a channel, with plain operations and selects.
#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn threads_and_goroutines_share_a_channel() {
    const EACH: usize = 1_000;
    for capacity in [0, 2] {
        let (tx, rx) = bounded(capacity);
        let send = |me: usize, tx: Sender<Message>| {
            for n in 0..EACH {
                if n % 2 == 0 {
                    tx.send((me, n)).unwrap();
                } else {
                    select! {
                        send(tx, (me, n)) -> sent => sent.unwrap(),
                        recv(never::<()>()) -> _ => {}
                    }
                }
            }
        };
        let receive = |rx: Receiver<Message>| -> Vec<Message> {
            let take = |n| match n % 2 {
                0 => rx.recv().ok(),
                _ => select! { recv(rx) -> got => got.ok(), recv(never::<()>()) -> _ => None },
            };
            (0..).map_while(take).collect()
        };
        let receiving = [0, 1].map(|_| {
            let (one, two) = (rx.clone(), rx.clone());
            (
                go!(move || receive(one)),
                thread::spawn(move || receive(two)),
            )
        });
        for me in 0..2 {
            let (one, two) = (tx.clone(), tx.clone());
            go!(move || send(me, one));
            thread::spawn(move || send(me + 2, two));
        }
        drop(tx);
        let received = receiving.map(|(one, two)| [one.join().unwrap(), two.join().unwrap()]);
        all_once_in_order(&received.concat(), 4, EACH);
    }
}
