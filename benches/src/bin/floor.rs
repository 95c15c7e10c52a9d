//! The floor: how long the basic steps that every runtime is made of take on this machine, and our
//! operations beside them, in ns: `cargo run --release -p go-benches --bin floor`.
//!
//! The figures are medians of many rounds. `GOMAXPROCS=1` is set, so none of our operations crosses
//! from CPU to CPU.

use std::hint::{self, black_box};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use corosensei::{Coroutine, CoroutineResult};
use go_benches::numbers::median;
use go_runtime::channel::bounded;
use go_runtime::sync::WaitGroup;
use go_runtime::{go, spawn_local, yield_now};

const ROUNDS: usize = 31;
const COUNT: u32 = 20_000;

fn main() {
    // SAFETY: no other thread has been started that could read or write the environment.
    unsafe { std::env::set_var("GOMAXPROCS", "1") };
    println!("| part | ns |\n|---|---:|");
    show("an atomic exchange and a store, nobody else at it", lock());
    show(
        "reading the clock",
        per_call(|| _ = black_box(Instant::now())),
    );
    show(
        "memory of 96 bytes, taken and given back",
        per_call(allocate),
    );
    show("corosensei: resume and suspend", coroutine());
    show(
        "a cache line from one CPU to another (there and back, halved)",
        crossing(),
    );
    show(
        "a sleeping thread is woken, and runs (there and back, halved)",
        threads(),
    );
    let ours = go!({
        let switch = median_of(|| time(COUNT, || two_yield(COUNT / 2)));
        show("ours: a yield to another goroutine", switch);
        show(
            "ours: a message through a buffer, sent and received at once",
            buffered(),
        );
        show(
            "ours: a round trip over two unbuffered channels",
            round_trip(),
        );
        show(
            "ours: an empty goroutine spawned, run and counted",
            spawned(),
        );
    });
    if ours.join().is_err() {
        std::process::exit(1);
    }
}

fn show(part: &str, ns: f64) {
    println!("| {part} | {ns:.1} |");
}

/// Returns the median of many rounds.
fn median_of(round: impl FnMut() -> f64) -> f64 {
    median(std::iter::repeat_with(round).take(ROUNDS).collect()).unwrap_or(f64::NAN)
}

/// Returns how long one of `count` operations takes.
fn time(count: u32, all: impl FnOnce()) -> f64 {
    let start = Instant::now();
    all();
    start.elapsed().as_nanos() as f64 / f64::from(count)
}

fn per_call(mut call: impl FnMut()) -> f64 {
    median_of(|| time(COUNT, || (0..COUNT).for_each(|_| call())))
}

fn lock() -> f64 {
    let lock = AtomicBool::new(false);
    per_call(|| {
        while lock.swap(true, Ordering::Acquire) {}
        lock.store(false, Ordering::Release);
    })
}

fn allocate() {
    drop(black_box(Box::new([0_u64; 12])));
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
    median(times).unwrap_or(f64::NAN)
}

fn two_yield(each: u32) {
    let other = spawn_local(move || (0..each).for_each(|_| yield_now()));
    (0..each).for_each(|_| yield_now());
    let _ = other.join();
}

fn buffered() -> f64 {
    let (tx, rx) = bounded(1);
    per_call(|| {
        let sent = tx.try_send(1);
        let received = rx.try_recv();
        assert!(sent.is_ok() && received.is_ok());
    })
}

fn round_trip() -> f64 {
    let (ping, pings) = bounded::<u32>(0);
    let (pong, pongs) = bounded::<u32>(0);
    spawn_local(move || {
        for n in pings {
            if pong.send(n).is_err() {
                break;
            }
        }
    });
    per_call(|| {
        let sent = ping.send(1);
        assert!(sent.is_ok() && pongs.recv().is_ok());
    })
}

fn spawned() -> f64 {
    let hits: &AtomicUsize = Box::leak(Box::default());
    let group: &WaitGroup = Box::leak(Box::default());
    median_of(|| {
        time(COUNT, || {
            group.add(COUNT as usize);
            for _ in 0..COUNT {
                go!(move || {
                    hits.fetch_add(1, Ordering::Relaxed);
                    group.done();
                });
            }
            group.wait();
        })
    })
}
