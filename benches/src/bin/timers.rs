//! Measures what timers cost, and how late they fire:
//! `cargo run --release -p go-benches --bin timers`.
//!
//! *set and stop*: the life of most timeouts, none of which ever fires. *pending*: a million
//! functions that wait to run at moments spread over a second: their memory, the cost of each, and
//! how late they run. *late*: how long after its moment a single timer fires in a process that is
//! otherwise asleep. `timers N` has N functions wait.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use go_benches::numbers::{count, quantile, short};
use go_benches::options;
use go_runtime::channel::unbounded;
use go_runtime::context::Context;
use go_runtime::sync::WaitGroup;
use go_runtime::time::{Timer, after_func, sleep, sleep_until};
use go_runtime::{go, select};

const HOUR: Duration = Duration::from_secs(3600);
const PENDING: usize = 1_000_000;
const LONE: usize = 500;

fn main() {
    let pending = std::env::args()
        .nth(1)
        .map_or(Ok(PENDING), |n| options::count(&n));
    match pending {
        Ok(pending) => go!(run(pending)).join().unwrap(),
        Err(error) => {
            eprintln!("usage: timers [N]: {error}");
            std::process::exit(2);
        }
    }
}

fn run(waiting: usize) {
    println!("set and stop, ns each (the least of 5 runs)");
    each("Timer, and dropped", || drop(Timer::new(HOUR)));
    each("select! with default(duration)", {
        let (tx, rx) = unbounded();
        move || {
            tx.send(()).unwrap();
            select! {
                recv(rx) -> _ => {}
                default(HOUR) => unreachable!(),
            }
        }
    });
    each("after_func, and stopped", || {
        assert!(after_func(HOUR, || {}).stop());
    });
    each("Context::with_timeout, and canceled", || {
        let (context, cancel) = Context::background().with_timeout(HOUR);
        cancel.cancel();
        assert!(context.err().is_some());
    });
    // Measured before the million functions, because their memory is given back for a while
    // afterwards.
    lone();
    pending(waiting);
}

fn each(what: &str, operation: impl Fn()) {
    const TIMES: usize = 200_000;
    let run = |_| {
        let start = Instant::now();
        (0..TIMES).for_each(|_| operation());
        start.elapsed().as_secs_f64() * 1e9 / TIMES as f64
    };
    let least = (0..5).map(run).fold(f64::INFINITY, f64::min);
    println!("  {what:<36} {:>8}", short(least));
}

fn pending(waiting: usize) {
    let before = resident();
    let ran = Arc::new(AtomicUsize::new(0));
    let (latest, all) = (Arc::new(AtomicUsize::new(0)), WaitGroup::new());
    all.add(waiting);
    // The functions are made within the first seconds, and run in the second after.
    let begin = Instant::now();
    let first = begin + Duration::from_secs(3);
    for n in 0..waiting {
        let (ran, latest, all) = (Arc::clone(&ran), Arc::clone(&latest), all.clone());
        // In no order.
        let due = first + Duration::from_micros((n * 7919 % waiting * 1_000_000 / waiting) as u64);
        let wait = due.saturating_duration_since(Instant::now());
        after_func(wait, move || {
            let late = Instant::now().saturating_duration_since(due);
            latest.fetch_max(late.as_micros() as usize, Ordering::Relaxed);
            ran.fetch_add(1, Ordering::Relaxed);
            all.done();
        });
    }
    let made = begin.elapsed();
    let bytes = (resident() - before) as f64 / waiting as f64;
    all.wait();
    let end = first + Duration::from_secs(1);
    let over = Instant::now().saturating_duration_since(end);
    println!(
        "\n{} pending functions, due within a second",
        count(waiting as f64)
    );
    println!(
        "  made, ns each                        {:>8}",
        short(made.as_secs_f64() * 1e9 / waiting as f64)
    );
    println!("  memory, bytes each                   {:>8}", count(bytes));
    println!(
        "  run {}, the latest by ms      {:>8}",
        count(ran.load(Ordering::Relaxed) as f64),
        short(latest.load(Ordering::Relaxed) as f64 / 1e3)
    );
    println!(
        "  all done, ms after the last was due  {:>8}",
        short(over.as_secs_f64() * 1e3)
    );
}

fn lone() {
    println!("\nlate, µs, of {LONE} lone ones                  median      p99      most");
    late("sleep", |due| {
        sleep_until(due);
        Instant::now() - due
    });
    late("Timer", |due| {
        Timer::new(due - Instant::now()).channel().recv().unwrap();
        Instant::now() - due
    });
    late("after_func", |due| {
        let (tx, rx) = unbounded();
        after_func(due - Instant::now(), move || {
            tx.send(Instant::now() - due).unwrap()
        });
        rx.recv().unwrap()
    });
    late("a thread's sleep, for comparison", |due| {
        let slept = Arc::new(Mutex::new(Duration::ZERO));
        let theirs = Arc::clone(&slept);
        go_runtime::blocking(|| {
            std::thread::sleep(due - Instant::now());
            *theirs.lock().unwrap() = Instant::now() - due;
        });
        *slept.lock().unwrap()
    });
}

fn late(what: &str, wait: impl Fn(Instant) -> Duration) {
    let mut times: Vec<f64> = (0..LONE)
        .map(|_| {
            // Long enough for everything to be asleep.
            sleep(Duration::from_millis(1));
            wait(Instant::now() + Duration::from_millis(2)).as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let of = |q| short(quantile(&times, q).unwrap_or_default());
    println!("  {what:<36} {:>8} {:>8} {:>9}", of(0.5), of(0.99), of(1.0));
}

/// Returns the memory of this process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}
