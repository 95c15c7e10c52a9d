//! The operations, each measured in a process of its own. The result goes out as lines "key value".

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use go_benches::waiting::{POLL_INTERVAL, wait_for, wait_for_sleep};
use go_benches::{Clock, check};
use go_runtime::channel::{Sender, bounded};
use go_runtime::sync::WaitGroup;
use go_runtime::{go, yield_now};

use crate::tally;

/// Minimum duration of a measurement.
const LEAST: Duration = Duration::from_millis(500);
/// Pause between two readings of the tally, long enough not to disturb the workers.
const SELDOM: Duration = Duration::from_millis(5);
const TOKENS: usize = 4;
const SPAWNS: usize = 100_000;

pub(crate) fn yields(n: usize) -> Result<(), String> {
    let gate = crowd(n, |_| {
        || loop {
            yield_now();
            tally::add_one();
        }
    })?;
    drop(gate);
    window(2 * n, 2 * n, LEAST)
}

pub(crate) fn ring(n: usize) -> Result<(), String> {
    let (first, mut input) = bounded(0);
    let last = first.clone();
    let gate = crowd(n, move |i| {
        let (output, next) = match i + 1 < n {
            true => bounded(0),
            false => (last.clone(), input.clone()),
        };
        let input = std::mem::replace(&mut input, next);
        move || {
            for token in input {
                tally::add_one();
                if output.send(token).is_err() {
                    return;
                }
            }
        }
    })?;
    drop(gate);
    for _ in 0..TOKENS.min(n - 1) {
        first.send(()).map_err(|error| error.to_string())?;
    }
    window(n, 2 * n, LEAST)
}

/// Measures spawns beside `n` goroutines that stay parked. A size of 10 stands for none.
pub(crate) fn spawns(n: usize) -> Result<(), String> {
    let parked = if n == 10 { 0 } else { n };
    let gate = crowd(parked, |_| || {})?;
    let measured = go!({
        round();
        let (clock, mut rounds) = (Clock::start(), 0);
        while clock.t.elapsed() < LEAST {
            round();
            rounds += 1;
        }
        print(&clock, rounds * SPAWNS as u64);
    });
    measured.join().map_err(|_| "a panic")?;
    drop(gate);
    Ok(())
}

fn round() {
    let group = WaitGroup::new();
    group.add(SPAWNS);
    for _ in 0..SPAWNS {
        go!(clone(group) {
            group.done();
        });
    }
    group.wait();
}

/// Starts `n` goroutines, which all wait until the gate is dropped.
fn crowd<F>(
    n: usize,
    mut make: impl FnMut(usize) -> F + Send + 'static,
) -> Result<Sender<()>, String>
where
    F: FnOnce() + Send + 'static,
{
    static WAITING: AtomicU64 = AtomicU64::new(0);
    let (gate, open) = bounded::<()>(0);
    drop(go!({
        for i in 0..n {
            let work = make(i);
            go!(clone(open) {
                WAITING.fetch_add(1, Relaxed);
                let _ = open.recv();
                drop(open);
                work();
            });
            // If a goroutine held its worker for long, the runtime would add a worker.
            if i % 256 == 255 {
                yield_now();
            }
        }
    }));
    wait_for(|| WAITING.load(Relaxed), n as u64, POLL_INTERVAL)?;
    wait_for_sleep()?;
    Ok(gate)
}

/// Measures the operations that are tallied: after the first `warm` operations, for at least
/// `least` operations and at least as long as `time`.
fn window(warm: usize, least: usize, time: Duration) -> Result<(), String> {
    wait_for(tally::total, warm as u64, SELDOM)?;
    let (clock, before) = (Clock::start(), tally::total());
    wait_for(tally::total, before + least as u64, SELDOM)?;
    std::thread::sleep(time.saturating_sub(clock.t.elapsed()));
    print(&clock, tally::total() - before);
    Ok(())
}

fn print(clock: &Clock, operations: u64) {
    let (wall, cpu) = (clock.t.elapsed(), clock.cpu_ns());
    check(operations > 0, "nothing was done");
    println!("ns {}", wall.as_nanos() as f64 / operations as f64);
    println!("cpu_ns {}", cpu / operations as f64);
}
