//! What is measured, each in a process of its own. The result goes out as lines "key value".

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use go_benches::numbers::quantile;
use go_benches::waiting::{LOOK, wait_for};
use go_benches::{Clock, tally};
use go_runtime::channel::{Receiver, Sender, bounded};
use go_runtime::go;
use go_runtime::time::sleep;

/// So many are started until one is where it should be.
const TRIES: usize = 200;
/// Times before this one find cold caches.
const WARM: usize = 20;
const PARKED: u64 = 1_000;
/// A listener ends only with its measurement.
const GONE: &str = "the listener has gone";
const TALK: Duration = Duration::from_millis(500);

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) kind: Kind,
    pub(crate) run: fn() -> Result<(), String>,
}

pub(crate) enum Kind {
    Latency,
    /// Of processors, in percent of one.
    Usage,
}

pub(crate) static CASES: [Case; 8] = [
    Case {
        name: "same",
        what: "on the sender's worker",
        kind: Kind::Latency,
        run: || latency(true, 20_000, || {}),
    },
    Case {
        name: "spinning",
        what: "on another worker, which has been idle for 5 µs",
        kind: Kind::Latency,
        run: || latency(false, 20_000, || compute(Duration::from_micros(5))),
    },
    Case {
        name: "drowsy",
        what: "on another worker, which has been idle for 100 µs, while the sender computed",
        kind: Kind::Latency,
        run: || latency(false, 5_000, || compute(Duration::from_micros(100))),
    },
    Case {
        name: "asleep",
        what: "on another worker, which has been idle for 2 ms, while the sender computed",
        kind: Kind::Latency,
        run: || latency(false, 300, || compute(Duration::from_millis(2))),
    },
    Case {
        name: "both_asleep",
        what: "on another worker, when both have been idle for 2 ms",
        kind: Kind::Latency,
        run: || latency(false, 300, || sleep(Duration::from_millis(2))),
    },
    Case {
        name: "idle",
        what: "1,000 parked goroutines, from 1 ms after the last one parked",
        kind: Kind::Usage,
        run: idle,
    },
    Case {
        name: "silent",
        what: "the same and a pair on two workers, from 1 ms after its last word",
        kind: Kind::Usage,
        run: silent,
    },
    Case {
        name: "talking",
        what: "a pair on two workers while it talks (200 at most)",
        kind: Kind::Usage,
        run: talking,
    },
];

pub(crate) fn find(name: &str) -> Result<&'static Case, String> {
    let case = CASES.iter().find(|case| case.name == name);
    case.ok_or_else(|| {
        let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        format!("no case {name}; there are {}", names.join(", "))
    })
}

/// A goroutine that is sent the time of each message, and answers how many nanoseconds ago that
/// was.
struct Listener {
    thread: usize,
    messages: Sender<Instant>,
    answers: Receiver<u64>,
}

impl Listener {
    fn start() -> Result<Listener, String> {
        let (messages, input) = bounded::<Instant>(0);
        let (answer, answers) = bounded(0);
        let (place, places) = bounded(1);
        go!({
            let mut ready = place.send(tally::thread()).is_ok();
            while ready && let Ok(sent) = input.recv() {
                let age = sent.elapsed();
                ready = answer.send(age.as_nanos() as u64).is_ok();
            }
        });
        Ok(Listener {
            thread: places.recv().map_err(|_| GONE)?,
            messages,
            answers,
        })
    }

    /// One on this worker, or on another. Those in vain stay until then, so that the next one finds
    /// another place.
    fn placed(here: bool) -> Result<Listener, String> {
        let mut others = Vec::new();
        for _ in 0..TRIES {
            let listener = Listener::start()?;
            if (listener.thread == tally::thread()) == here {
                return Ok(listener);
            }
            others.push(listener);
        }
        Err(format!("none of {TRIES} goroutines came to such a worker"))
    }

    /// Nanoseconds from the send to when it ran.
    fn wake(&self) -> Result<f64, String> {
        self.messages.send(Instant::now()).map_err(|_| GONE)?;
        Ok(self.answers.recv().map_err(|_| GONE)? as f64)
    }

    fn talk(&self, time: Duration) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < time {
            self.wake()?;
        }
        Ok(())
    }
}

/// Wakes a listener time and again, each time after a pause.
fn latency(here: bool, times: usize, pause: fn()) -> Result<(), String> {
    let mut all = in_goroutine(move || {
        let listener = Listener::placed(here)?;
        let mut all = Vec::with_capacity(times);
        for i in 0..times + WARM {
            pause();
            let ns = listener.wake()?;
            if i >= WARM {
                all.push(ns);
            }
        }
        Ok(all)
    })?;
    all.sort_by(f64::total_cmp);
    for (key, q) in [("median_ns", 0.5), ("p99_ns", 0.99), ("max_ns", 1.0)] {
        println!("{key} {}", quantile(&all, q).unwrap_or(f64::NAN));
    }
    Ok(())
}

fn in_goroutine<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    go!(work()).join().map_err(|_| "a panic")?
}

fn compute(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// What the process computes in a second, from 1 ms on.
fn usage_at_rest() {
    thread::sleep(Duration::from_millis(1));
    usage(|| thread::sleep(Duration::from_secs(1)));
}

fn usage<T>(meanwhile: impl FnOnce() -> T) -> T {
    let clock = Clock::start();
    let result = meanwhile();
    let wall = clock.t.elapsed().as_nanos() as f64;
    println!("percent {}", clock.cpu_ns() / wall * 100.0);
    result
}

/// Starts goroutines that wait until what is returned goes.
fn park() -> Result<Sender<()>, String> {
    static WAITING: AtomicU64 = AtomicU64::new(0);
    let (gate, open) = bounded::<()>(0);
    for _ in 0..PARKED {
        go!(clone(open) {
            WAITING.fetch_add(1, Relaxed);
            let _ = open.recv();
        });
    }
    wait_for(|| WAITING.load(Relaxed), PARKED, LOOK)?;
    Ok(gate)
}

fn idle() -> Result<(), String> {
    let gate = park()?;
    usage_at_rest();
    drop(gate);
    Ok(())
}

fn silent() -> Result<(), String> {
    let gate = park()?;
    let (end, open) = bounded::<()>(0);
    let (last, words) = bounded(1);
    let pair = go!({
        let listener = Listener::placed(false);
        let talked = listener.and_then(|pair| pair.talk(TALK).map(|()| pair));
        let _ = last.send(talked.as_ref().err().cloned());
        // Both stay, in silence.
        let _ = open.recv();
        drop(talked);
    });
    if let Some(error) = words.recv().map_err(|_| GONE)? {
        return Err(error);
    }
    usage_at_rest();
    drop((gate, end));
    pair.join().map_err(|_| "a panic".into())
}

fn talking() -> Result<(), String> {
    in_goroutine(|| {
        let listener = Listener::placed(false)?;
        usage(|| listener.talk(TALK))
    })
}
