//! Go's `runtime/chan_test.go`: many at once on few channels. All tests here are run in processes of their own, with 1, 2 and 4
//! workers.

use std::array;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use go_runtime::channel::{Receiver, Sender, TryRecvError, bounded, never};
use go_runtime::{go, select, yield_now};

use crate::support::{at_several_gomaxprocs, eventually, in_both, in_goroutine, settle};

#[test]
fn races_with_several_numbers_of_workers() {
    at_several_gomaxprocs("races::");
}

/// Who sent it, and which of their messages it is.
type Message = (usize, usize);

/// Checks what several receivers got: each message of each sender once, and none overtook another on its way to a receiver.
fn all_once_in_order(received: &[Vec<Message>], senders: usize, each: usize) {
    let mut times = vec![vec![0; each]; senders];
    for messages in received {
        let mut last = HashMap::new();
        for &(sender, n) in messages {
            times[sender][n] += 1;
            let before = last.insert(sender, n);
            assert!(before < Some(n), "{sender} sent {n} after {before:?}");
        }
    }
    assert!(times.iter().flatten().all(|times| *times == 1));
}

// --- TestChan ---

#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn chan_first_in_first_out() {
    const EACH: usize = 1_000;
    in_both(|| {
        for capacity in 0..=10 {
            let (tx, rx) = bounded(capacity);
            let sending: Vec<_> = (0..4)
                .map(|sender| go!(clone(tx) { (0..EACH).for_each(|n| tx.send((sender, n)).unwrap()) }))
                .collect();
            let receiving: Vec<_> = (0..4)
                .map(|_| go!(clone(rx) { rx.iter().take(EACH).collect::<Vec<Message>>() }))
                .collect();
            sending
                .into_iter()
                .for_each(|sender| sender.join().unwrap());
            let received: Vec<_> = receiving.into_iter().map(|r| r.join().unwrap()).collect();
            assert!(received.iter().all(|messages| messages.len() == EACH));
            all_once_in_order(&received, 4, EACH);
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

/// A receive from an empty channel, and a send to a full one, do wait; and go on when they can.
#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn chan_empty_and_full_ones_block() {
    in_goroutine(|| {
        for capacity in 0..=10 {
            let (tx, rx) = bounded(capacity);
            let plain = go!(local; clone(rx) { rx.recv().unwrap() });
            let in_select = go!(local; clone(rx) { select! { recv(rx) -> n => n.unwrap() } });
            settle();
            assert!(!plain.is_finished() && !in_select.is_finished());
            assert!(rx.try_recv().is_err(), "nobody has sent");
            (0..2).for_each(|n| tx.send(n).unwrap());
            assert_eq!((plain.join().unwrap(), in_select.join().unwrap()), (0, 1));

            (0..capacity).for_each(|n| tx.send(n).unwrap());
            let plain = go!(local; clone(tx) { tx.send(capacity).unwrap() });
            settle();
            let in_select = go!(local; clone(tx) {
                select! { send(tx, capacity + 1) -> sent => sent.unwrap() }
            });
            settle();
            assert!(!plain.is_finished() && !in_select.is_finished());
            assert!(tx.try_send(99).is_err() && rx.len() == capacity);
            assert!(rx.iter().take(capacity + 2).eq(0..capacity + 2));
            plain.join().unwrap();
            in_select.join().unwrap();
        }
    });
}

/// What is in a closed channel comes out, then everybody is told that it is closed; whoever waits is told at once.
#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn chan_closing_releases_everybody() {
    in_both(|| {
        for capacity in 0..=10 {
            let (tx, rx) = bounded::<usize>(capacity);
            let waiting: Vec<_> = (0..10).map(|_| go!(clone(rx) { rx.recv() })).collect();
            tx.close();
            assert!(
                waiting
                    .into_iter()
                    .all(|waiting| waiting.join().unwrap().is_err())
            );

            let (tx, rx) = bounded(capacity);
            (0..capacity).for_each(|n| tx.send(n).unwrap());
            // In Go they panic; here they get their messages back.
            let waiting: Vec<_> = (10..20)
                .map(|n| (n, go!(clone(tx) { tx.send(n) })))
                .collect();
            tx.close();
            for (n, waiting) in waiting {
                assert_eq!(waiting.join().unwrap().unwrap_err().0, n);
            }
            assert!(rx.iter().eq(0..capacity));
        }
    });
}

// --- TestNonblockRecvRace ---

/// There is always something to receive: a message, or the news that the channel is closed.
#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn nonblock_recv_race() {
    in_both(|| {
        for _ in 0..5_000 {
            let (tx, rx) = bounded(1);
            tx.send(1).unwrap();
            let trying = go!(clone(rx) {
                select! { recv(rx) -> got => got.ok(), default => panic!("it was ready all the time") }
            });
            tx.close();
            let here = rx.recv().ok();
            let both = [here, trying.join().unwrap()];
            assert!(
                both == [Some(1), None] || both == [None, Some(1)],
                "{both:?}"
            );
        }
    });
}

// --- TestNonblockSelectRace ---

/// First one channel is ready and then, before that is undone, the other one.
fn one_is_always_ready(ready: fn(Sender<i32>) -> Option<Sender<i32>>) {
    for _ in 0..5_000 {
        let ((one, from_one), (two, from_two)) = (bounded(1), bounded(1));
        one.send(1).unwrap();
        let (first, second) = (from_one.clone(), from_two.clone());
        let trying = go!({
            select! {
                recv(first) -> n => n.ok(),
                recv(second) -> n => n.ok().or(Some(2)),
                default => panic!("one of them was ready all the time"),
            }
        });
        let _two = ready(two);
        let here = from_one.try_recv().ok();
        let there = trying.join().unwrap();
        let expected = [(Some(1), Some(2)), (None, Some(1))];
        assert!(expected.contains(&(here, there)), "{here:?}, {there:?}");
    }
}

#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn nonblock_select_race() {
    in_both(|| {
        one_is_always_ready(|two| {
            two.send(2).unwrap();
            Some(two)
        });
    });
}

#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn nonblock_select_race_2() {
    in_both(|| {
        one_is_always_ready(|two| {
            two.close();
            None
        });
    });
}

// --- TestSelfSelect ---

/// Sends and receives on one channel in one select. `true`: it has sent.
fn either(
    tx: &Sender<Message>,
    rx: &Receiver<Message>,
    message: Message,
    swap: bool,
) -> Result<(), Message> {
    if swap {
        select! { recv(rx) -> got => Err(got.unwrap()), send(tx, message) -> sent => { sent.unwrap(); Ok(()) } }
    } else {
        select! { send(tx, message) -> sent => { sent.unwrap(); Ok(()) } recv(rx) -> got => Err(got.unwrap()) }
    }
}

#[test]
#[ignore = "run by races_with_several_numbers_of_workers"]
fn self_select() {
    const ROUNDS: usize = 5_000;
    in_both(|| {
        for capacity in [0, 1, 10] {
            let (tx, rx) = bounded(capacity);
            let both: [_; 2] = array::from_fn(|me| {
                go!(clone(tx, rx) {
                    let (mut sent, mut received) = (Vec::new(), Vec::new());
                    for round in 0..ROUNDS {
                        match either(&tx, &rx, (me, round), me == 1 && round % 2 == 1) {
                            Ok(()) => sent.push((me, round)),
                            // On a rendezvous nobody meets themselves.
                            Err((from, _)) if capacity == 0 && from == me => panic!("my own message"),
                            Err(message) => received.push(message),
                        }
                    }
                    (sent, received)
                })
            });
            let [one, two] = both.map(|goroutine| goroutine.join().unwrap());
            let mut sent = [one.0, two.0].concat();
            let mut received = [one.1, two.1, rx.try_iter().collect()].concat();
            sent.sort();
            received.sort();
            assert_eq!(sent, received);
        }
    });
}

// --- TestSelectStress ---

/// Four channels; on each, one sender and one receiver by themselves, and over all, selects that send and that receive.
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
        // And each through its own channel: those alone got what was meant for them.
        for (i, alone) in received[..4].iter().enumerate() {
            assert!(alone.iter().all(|(sender, _)| sender % 4 == i));
        }
    });
}

/// `each` to each of the four, as sender 4 to 7. A channel that has had its share is switched off.
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

/// Two sources that are always ready, one select from both to two readers: nobody goes hungry.
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
                select! { send(tx, 0) -> sent => sent.unwrap(), send(tx, 1) -> sent => sent.unwrap() }
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
                    // So that they do not go round in turn.
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

/// Go's garbage collector has to hear of pointers that are written into somebody's stack. Here the messages own memory, and
/// the tests are that it arrives whole and is freed once, however it is sent.
fn owned_messages(in_select: bool) {
    const GOROUTINES: usize = 50;
    const REQUESTS: usize = 100;
    struct Answer {
        text: String,
        parts: Vec<Box<usize>>,
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
    // Those who answered may still be on their way out.
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

/// Plain threads and goroutines at once, plain operations and selects.
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
                    select! { send(tx, (me, n)) -> sent => sent.unwrap(), recv(never::<()>()) -> _ => {} }
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
