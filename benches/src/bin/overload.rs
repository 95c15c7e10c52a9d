//! What happens when goroutines block their threads, hold their workers, or are very many and idle.
//!
//! Each measurement is made in a process of its own, with one worker.

use std::env;
use std::hint;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use go_benches::cpu_ms;
use go_runtime::channel::{bounded, tick};
use go_runtime::sync::WaitGroup;
use go_runtime::{blocking, go, select};

/// Has a thousand goroutines block a thread each for 100 ms, while another goroutine's ticker ticks
/// every millisecond.
fn blocked() {
    const CALLS: usize = 1000;
    let (stop, done) = bounded::<()>(0);
    let ticker = go!({
        let ticks = tick(Duration::from_millis(1));
        let (mut last, mut worst, mut count) = (Instant::now(), Duration::ZERO, 0);
        loop {
            select! {
                recv(ticks) -> _ => {
                    worst = worst.max(last.elapsed());
                    last = Instant::now();
                    count += 1;
                }
                recv(done) -> _ => return (worst, count),
            }
        }
    });
    let group = WaitGroup::new();
    let start = Instant::now();
    for _ in 0..CALLS {
        group.go(|| blocking(|| thread::sleep(Duration::from_millis(100))));
    }
    group.wait();
    let all = start.elapsed();
    drop(stop);
    let (worst, count) = ticker.join().expect("the ticker");
    println!(
        "{CALLS} goroutines in blocking(sleep 100 ms): {} ms in all; {count} ticks of 1 ms \
         meanwhile, the longest gap {:.1} ms",
        all.as_millis(),
        worst.as_secs_f64() * 1e3
    );
}

/// Measures how long goroutines wait to start beside a goroutine that computes without end.
fn held() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    static STOP: AtomicBool = AtomicBool::new(false);
    let hog = go!({
        STARTED.store(true, Relaxed);
        while !STOP.load(Relaxed) {
            hint::spin_loop();
        }
    });
    while !STARTED.load(Relaxed) {
        hint::spin_loop();
    }
    let start = Instant::now();
    go!({}).join().expect("the first");
    let first = start.elapsed();
    let start = Instant::now();
    for _ in 0..1000 {
        go!({}).join().expect("the next");
    }
    println!(
        "beside `loop {{}}`: the first goroutine has ended after {:.1} ms, the next ones after \
         {:.3} ms each",
        first.as_secs_f64() * 1e3,
        start.elapsed().as_secs_f64()
    );
    STOP.store(true, Relaxed);
    hog.join().expect("the hog");
}

/// Measures the CPU time of the process while all its goroutines are parked.
fn idle() {
    const PARKED: usize = 100_000;
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let (stop, done) = bounded::<()>(0);
    let group = WaitGroup::new();
    for _ in 0..PARKED {
        let done = done.clone();
        group.go(move || {
            STARTED.fetch_add(1, Relaxed);
            let _ = done.recv();
        });
    }
    while STARTED.load(Relaxed) < PARKED {
        thread::yield_now();
    }
    // By then trimming is over, and the monitor sleeps.
    thread::sleep(Duration::from_secs(1));
    let seconds = 5;
    let before = cpu_ms();
    thread::sleep(Duration::from_secs(seconds));
    let computed_ms = cpu_ms() - before;
    println!(
        "{PARKED} parked goroutines: {:.3} % of a core over {seconds} s",
        computed_ms / (seconds * 1000) as f64 * 100.0
    );
    drop(stop);
    group.wait();
}

fn main() {
    match env::args().nth(1).as_deref() {
        Some("blocked") => blocked(),
        Some("held") => held(),
        Some("idle") => idle(),
        _ => {
            let this = env::current_exe().expect("the path of this program");
            for part in ["blocked", "held", "idle"] {
                let mut command = Command::new(&this);
                let status = command.arg(part).env("GOMAXPROCS", "1").status();
                assert!(status.is_ok_and(|status| status.success()), "{part}");
            }
        }
    }
}
