//! The timed channels: several receivers wait for each message, and exactly one gets it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use go_runtime::channel::{self, Receiver, Select};
use go_runtime::{go, select, yield_now};

/// Number of receivers, each of which asks in its own way.
const RECEIVERS: usize = 4;
const BATCH: usize = 10_000;

/// Returns the message, if this receiver gets it.
fn ask(way: usize, rx: &Receiver<Instant>) -> Option<Instant> {
    match way {
        0 => rx.try_recv().ok(),
        1 => select! {
            recv(rx) -> message => message.ok(),
            default => None,
        },
        2 => rx.recv_timeout(Duration::ZERO).ok(),
        _ => {
            let mut list = Select::new();
            list.recv(rx);
            let operation = list.try_select().ok()?;
            operation.recv(rx).ok()
        }
    }
}

/// Tests `at` channels that are due: exactly one receiver gets the message.
pub fn at(messages: usize) -> String {
    let mut rest = messages;
    while rest > 0 {
        let batch = rest.min(BATCH);
        let due = Instant::now();
        let channels: Arc<[_]> = (0..batch).map(|_| channel::at(due)).collect();
        let receivers: Vec<_> = (0..RECEIVERS)
            .map(|way| {
                go!(clone(channels) {
                    let got = channels.iter().map(|rx| ask(way, rx) == Some(due));
                    got.collect::<Vec<bool>>()
                })
            })
            .collect();
        let got: Vec<_> = receivers.into_iter().map(|r| r.join().unwrap()).collect();
        for i in 0..batch {
            let times = got.iter().filter(|got| got[i]).count();
            assert_eq!(times, 1, "message {i} was received {times} times");
        }
        rest -= batch;
    }
    format!("at: {messages} messages, each received once by one of {RECEIVERS}")
}

/// Tests a `tick` channel whose ticks are always due: no two receivers get the same tick.
pub fn tick(messages: usize) -> String {
    let mut rest = messages;
    let ticker = channel::tick(Duration::from_nanos(1));
    while rest > 0 {
        let each = rest.div_ceil(RECEIVERS).min(BATCH);
        let receivers: Vec<_> = (0..RECEIVERS)
            .map(|way| {
                go!(clone(ticker) {
                    let mut got = Vec::with_capacity(each);
                    while got.len() < each {
                        match ask(way, &ticker) {
                            Some(time) => got.push(time),
                            None => yield_now(),
                        }
                    }
                    got
                })
            })
            .collect();
        let mut all = Vec::with_capacity(RECEIVERS * each);
        for receiver in receivers {
            let got = receiver.join().unwrap();
            assert!(got.is_sorted(), "ticks go forward");
            all.extend(got);
        }
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count, "a tick was received twice");
        rest -= rest.min(count);
    }
    format!("tick: {messages} messages, no one received twice by {RECEIVERS}")
}
