//! The floor: how long the basic steps that every runtime is made of take on this machine, in ns:
//! `cargo run --release -p go-benches --bin floor`.
//!
//! The figures are medians of many rounds. `compare --workers 1` shows what our operations take on
//! one worker.

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use corosensei::{Coroutine, CoroutineResult};
use go_benches::numbers::median;

const ROUNDS: usize = 31;
const COUNT: u32 = 20_000;

fn main() {
    let parts = [
        ("an atomic exchange and a store, without contention", lock()),
        ("corosensei: resume and suspend", coroutine()),
        (
            "a cache line from one CPU to another (there and back, halved)",
            crossing(),
        ),
        (
            "a sleeping thread is woken, and runs (there and back, halved)",
            threads(),
        ),
    ];
    println!("| part | ns |\n|---|---:|");
    for (part, ns) in parts {
        println!("| {part} | {ns:.1} |");
    }
}

/// Returns how long a call takes, as the median of many rounds.
fn per_call(mut call: impl FnMut()) -> f64 {
    let round = || {
        let start = Instant::now();
        (0..COUNT).for_each(|_| call());
        start.elapsed().as_nanos() as f64 / f64::from(COUNT)
    };
    median(std::iter::repeat_with(round).take(ROUNDS).collect())
}

fn lock() -> f64 {
    let lock = AtomicBool::new(false);
    per_call(|| {
        while lock.swap(true, Ordering::Acquire) {}
        lock.store(false, Ordering::Release);
    })
}

fn coroutine() -> f64 {
    let mut coroutine = Coroutine::<(), (), ()>::new(|suspender, ()| {
        loop {
            suspender.suspend(());
        }
    });
    let ns = per_call(|| assert!(matches!(coroutine.resume(()), CoroutineResult::Yield(()))));
    // The coroutine does not end by itself.
    // SAFETY: nothing on the coroutine's stack needs to be dropped.
    unsafe { coroutine.force_reset() };
    ns
}

fn crossing() -> f64 {
    let word = AtomicUsize::new(0);
    let last = ROUNDS * COUNT as usize * 2;
    thread::scope(|scope| {
        // Turns the odd numbers into even ones.
        scope.spawn(|| {
            let mut n = 0;
            while n < last {
                n = word.load(Ordering::Acquire);
                if n % 2 == 1 {
                    word.store(n + 1, Ordering::Release);
                }
            }
        });
        let mut next = 1;
        let there_and_back = per_call(|| {
            word.store(next, Ordering::Release);
            while word.load(Ordering::Acquire) == next {
                hint::spin_loop();
            }
            next += 2;
        });
        there_and_back / 2.0
    })
}

fn threads() -> f64 {
    let (there, from_there) = mpsc::sync_channel::<()>(0);
    let (back, from_back) = mpsc::sync_channel::<()>(0);
    let partner = thread::spawn(move || {
        for () in from_there {
            if back.send(()).is_err() {
                break;
            }
        }
    });
    let mut times = Vec::new();
    for _ in 0..200 {
        // Until it sleeps.
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(100) {
            hint::spin_loop();
        }
        let start = Instant::now();
        if there.send(()).is_err() || from_back.recv().is_err() {
            break;
        }
        times.push(start.elapsed().as_nanos() as f64 / 2.0);
    }
    drop(there);
    let _ = partner.join();
    median(times)
}
