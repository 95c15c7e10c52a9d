//! may peer.  Usage: may WORKLOAD [unb|spsc|sem]
//!
//! may's own channels (mpsc, spsc, mpmc) are all unbounded and it has no
//! rendezvous.  The second argument picks what stands for a channel:
//!   unb  = may::sync::mpsc / mpmc as they are (unbounded: NOT the same semantics)
//!   spsc = may::sync::spsc as it is (unbounded; one sender, one receiver)
//!   sem  = may::sync::mpmc bounded by a may::sync::Semphore of `cap` slots
//!          ("unbuffered" is capacity 1): the nearest bounded channel

mod channels;
mod families;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};

use bench_peers::*;
use channels::*;
use may::coroutine::{sleep, yield_now};
use may::go;
use may::sync::{Mutex, WaitGroup, mpmc};

fn spawn_join() {
    let (rounds, per) = spawn_rounds();
    let hits = Arc::new(AtomicUsize::new(0));
    let c = Clock::start();
    for _ in 0..rounds {
        let wg = WaitGroup::new();
        for _ in 0..per {
            let (wg, hits) = (wg.clone(), hits.clone());
            go!(move || {
                hits.fetch_add(1, Relaxed);
                drop(wg);
            });
        }
        wg.wait();
    }
    check(hits.load(Relaxed) == rounds * per, "spawn count");
    c.report("spawn_join", rounds * per, &format!("rounds={rounds}"));
}

fn yield1() {
    let k = n(YIELD1_N);
    let c = Clock::start();
    for _ in 0..k {
        yield_now();
    }
    c.report("yield1", k, "");
}

fn yield1000() {
    let e = n(YIELD_E);
    let wg = WaitGroup::new();
    let c = Clock::start();
    for _ in 0..YIELD_G {
        let wg = wg.clone();
        go!(move || {
            for _ in 0..e {
                yield_now();
            }
            drop(wg);
        });
    }
    wg.wait();
    c.report("yield1000", YIELD_G * e, "");
}

fn mutex8() {
    let k = n(MUTEX_N);
    let m = Arc::new(Mutex::new(0u64));
    let wg = WaitGroup::new();
    let c = Clock::start();
    for _ in 0..MUTEX_G {
        let (m, wg) = (m.clone(), wg.clone());
        go!(move || {
            for _ in 0..k {
                *m.lock().unwrap() += 1;
            }
            drop(wg);
        });
    }
    wg.wait();
    check(*m.lock().unwrap() == (MUTEX_G * k) as u64, "mutex count");
    c.report("mutex8", MUTEX_G * k, "may::sync::Mutex");
}

fn parked() {
    let k = parked_n();
    let (tx, rx) = mpmc::channel::<()>();
    let started = Arc::new(AtomicUsize::new(0));
    let wg = WaitGroup::new();
    let m0 = mem();
    let c = Clock::start();
    for _ in 0..k {
        let (rx, st, wg) = (rx.clone(), started.clone(), wg.clone());
        go!(move || {
            st.fetch_add(1, Relaxed);
            let _ = rx.recv();
            drop(wg);
        });
    }
    while started.load(Relaxed) < k {
        sleep(Duration::from_millis(1));
    }
    let create = c.t.elapsed();
    sleep(Duration::from_millis(300));
    let m1 = mem();
    let t = Instant::now();
    drop(tx);
    wg.wait();
    c.report_parked(k, create, t.elapsed(), m0, m1);
}

fn timers(name: &str, g: usize) {
    let wg = WaitGroup::new();
    let c = Clock::start();
    for i in 0..g {
        let wg = wg.clone();
        go!(move || {
            let mut s = i as u64;
            for _ in 0..TIMERS_K {
                let ms = 1 + rng_next(&mut s) % 50;
                sleep(Duration::from_millis(ms));
            }
            drop(wg);
        });
    }
    wg.wait();
    c.report(name, g * TIMERS_K, "");
}

fn run(w: String, fam: String) {
    let sem = fam == "sem";
    let spsc = fam == "spsc";
    match w.as_str() {
        "spawn_join" => spawn_join(),
        "yield1" => yield1(),
        "yield1000" => yield1000(),
        "pingpong" if sem => p_sem::pingpong(),
        "pingpong" if spsc => p_spsc::pingpong(),
        "pingpong" => p_unb::pingpong(),
        "spsc128" if sem => p_sem::spsc_w(),
        "spsc128" if spsc => p_spsc::spsc_w(),
        "spsc128" => p_unb::spsc_w(),
        "mpmc128" if sem => x_sem::mpmc_w("mpmc128", 128, n(MPMC_N)),
        "mpmc128" => x_mpmc::mpmc_w("mpmc128", 128, n(MPMC_N)),
        "mpmc0" if sem => x_sem::mpmc_w("mpmc0", 0, n(MPMC0_N)),
        "mpmc0" => x_mpmc::mpmc_w("mpmc0", 0, n(MPMC0_N)),
        "select3" if sem => t_sem::select3(),
        "select3" => t_unb::select3(),
        "mutex8" => mutex8(),
        "ring" if sem => t_sem::ring(),
        "ring" => t_unb::ring(),
        "skynet" if sem => t_sem::skynet("skynet", SKYNET_N),
        "skynet" => t_unb::skynet("skynet", SKYNET_N),
        "skynet10k" if sem => t_sem::skynet("skynet10k", 10_000),
        "skynet10k" => t_unb::skynet("skynet10k", 10_000),
        "sieve" if sem => sieve(),
        "sieve" => na("sieve", "unbounded generator runs away"),
        "parked" => parked(),
        "timers" => timers("timers", n(TIMERS_G)),
        "timers20k" => timers("timers20k", n(20_000)),
        "pool" if sem => x_sem::pool(),
        "pool" => x_mpmc::pool(),
        _ => {
            eprintln!("unknown workload");
            exit_now(2)
        }
    }
}

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let w = a.get(1).cloned().unwrap_or_default();
    let fam = a.get(2).cloned().unwrap_or("unb".into());
    may::config().set_workers(2);
    let r = go!(move || run(w, fam)).join();
    if r.is_err() {
        exit_now(4);
    }
}
