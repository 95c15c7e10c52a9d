//! The workloads on this runtime. Usage: GOMAXPROCS=2 ours WORKLOAD
//!
//! Each does the same work, in the same way, as its namesake in `go/main.go`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use go_benches::*;
use go_runtime::channel::{Receiver, Sender, bounded};
use go_runtime::sync::{Mutex, WaitGroup};
use go_runtime::{go, select, spawn, time::sleep, yield_now};

fn spawn_join() {
    let (rounds, per) = spawn_rounds();
    // Shared by reference, as in Go: a count of references would be most of the work.
    let hits: &AtomicUsize = Box::leak(Box::default());
    let clock = Clock::start();
    for _ in 0..rounds {
        let group: &WaitGroup = Box::leak(Box::default());
        group.add(per);
        for _ in 0..per {
            go!(move || {
                hits.fetch_add(1, Relaxed);
                group.done();
            });
        }
        group.wait();
    }
    check(hits.load(Relaxed) == rounds * per, "spawn count");
    clock.report("spawn_join", rounds * per, &format!("rounds={rounds}"));
}

fn yield1() {
    let count = n(YIELD1_N);
    let clock = Clock::start();
    for _ in 0..count {
        yield_now();
    }
    clock.report("yield1", count, "");
}

fn yield1000() {
    let each = n(YIELD_E);
    let group = WaitGroup::new();
    group.add(YIELD_G);
    let clock = Clock::start();
    for _ in 0..YIELD_G {
        go!(clone(group) {
            for _ in 0..each {
                yield_now();
            }
            group.done();
        });
    }
    group.wait();
    clock.report("yield1000", YIELD_G * each, "");
}

/// With `local`, both ends share a worker.
fn pingpong(local: bool) {
    let count = n(PING_N);
    let (ping, pings) = bounded::<u64>(0);
    let (pong, pongs) = bounded::<u64>(0);
    let clock = Clock::start();
    let partner = move || {
        for v in pings {
            pong.send(v + 1).unwrap();
        }
    };
    drop(if local {
        go_runtime::spawn_local(partner)
    } else {
        spawn(partner)
    });
    let mut sum = 0;
    for i in 0..count as u64 {
        ping.send(i).unwrap();
        sum += pongs.recv().unwrap();
    }
    check(sum == sum_to(count + 1), "pingpong sum");
    clock.report(if local { "pingpong_local" } else { "pingpong" }, count, "");
}

fn spsc() {
    let count = n(SPSC_N);
    let (tx, rx) = bounded::<u64>(128);
    let clock = Clock::start();
    let sum = go!(move || rx.iter().sum::<u64>());
    for i in 0..count as u64 {
        tx.send(i).unwrap();
    }
    drop(tx);
    check(sum.join().unwrap() == sum_to(count), "spsc sum");
    clock.report("spsc128", count, "");
}

fn mpmc(name: &str, capacity: usize, total: usize) {
    let per = total / 4;
    let (tx, rx) = bounded::<u64>(capacity);
    let clock = Clock::start();
    let consumers: Vec<_> = (0..4)
        .map(|_| go!(clone(rx) { rx.iter().fold((0, 0), |(s, k), v| (s + v, k + 1)) }))
        .collect();
    drop(rx);
    for _ in 0..4 {
        go!(clone(tx) {
            for j in 0..per as u64 {
                tx.send(j).unwrap();
            }
        });
    }
    drop(tx);
    let (sum, count) = consumers
        .into_iter()
        .map(|c| c.join().unwrap())
        .fold((0, 0), |(s, k), (t, l): (u64, usize)| (s + t, k + l));
    check(count == 4 * per, "mpmc count");
    check(sum == 4 * sum_to(per), "mpmc sum");
    clock.report(name, 4 * per, "");
}

fn select3() {
    let count = n(SELECT_N);
    let (atx, arx) = bounded::<u64>(0);
    let (btx, brx) = bounded::<u64>(0);
    let (stop, done) = bounded::<()>(0);
    let clock = Clock::start();
    // The senders are kept, so that only `done` ends it.
    let keep = (atx.clone(), btx.clone());
    let sum = go! {
        let mut sum = 0;
        loop {
            select! {
                recv(arx) -> v => sum += v.unwrap(),
                recv(brx) -> v => sum += v.unwrap(),
                recv(done) -> _ => break sum,
            }
        }
    };
    let group = WaitGroup::new();
    for tx in [atx, btx] {
        group.add(1);
        go!(clone(group) {
            for _ in 0..count {
                tx.send(1).unwrap();
            }
            group.done();
        });
    }
    group.wait();
    drop(stop);
    let sum = sum.join().unwrap();
    drop(keep);
    check(sum == 2 * count as u64, "select3 count");
    clock.report("select3", 2 * count, "");
}

fn mutex8() {
    let count = n(MUTEX_N);
    let mutex = Arc::new(Mutex::new(0_u64));
    let group = WaitGroup::new();
    group.add(MUTEX_G);
    let clock = Clock::start();
    for _ in 0..MUTEX_G {
        go!(clone(mutex, group) {
            for _ in 0..count {
                *mutex.lock().unwrap() += 1;
            }
            group.done();
        });
    }
    group.wait();
    let total = *mutex.lock().unwrap();
    check(total == (MUTEX_G * count) as u64, "mutex count");
    clock.report("mutex8", MUTEX_G * count, "");
}

fn ring() {
    let hops = n(RING_HOPS);
    let channels: Vec<(Sender<usize>, Receiver<usize>)> = (0..RING_G).map(|_| bounded(0)).collect();
    let (finish, finished) = bounded::<()>(0);
    for i in 0..RING_G {
        let (input, output) = (channels[i].1.clone(), channels[(i + 1) % RING_G].0.clone());
        go!(clone(finish) {
            for v in input {
                if v == 0 {
                    finish.send(()).unwrap();
                    return;
                }
                output.send(v - 1).unwrap();
            }
        });
    }
    sleep(Duration::from_millis(20));
    let clock = Clock::start();
    channels[0].0.send(hops).unwrap();
    finished.recv().unwrap();
    clock.report("ring", hops, "");
}

fn skynet_node(tx: Sender<u64>, num: u64, size: u64) {
    if size == 1 {
        tx.send(num).unwrap();
        return;
    }
    let (ctx, crx) = bounded::<u64>(0);
    let sub = size / 10;
    for i in 0..10 {
        let ctx = ctx.clone();
        go!(skynet_node(ctx, num + i * sub, sub));
    }
    let sum = (0..10).map(|_| crx.recv().unwrap()).sum();
    tx.send(sum).unwrap();
}

fn skynet(name: &str, leaves: u64) {
    let (tx, rx) = bounded::<u64>(0);
    let clock = Clock::start();
    go!(skynet_node(tx, 0, leaves));
    let sum = rx.recv().unwrap();
    check(sum == sum_to(leaves as usize), "skynet sum");
    clock.report(name, leaves as usize, "");
}

fn sieve() {
    let count = n(SIEVE_N);
    let clock = Clock::start();
    let (tx, mut rx) = bounded::<u64>(0);
    go! {
        for i in 2.. {
            if tx.send(i).is_err() {
                break;
            }
        }
    };
    let mut last = 0;
    for _ in 0..count {
        let prime = rx.recv().unwrap();
        last = prime;
        let (next_tx, next_rx) = bounded::<u64>(0);
        let input = std::mem::replace(&mut rx, next_rx);
        go! {
            for v in input {
                if v % prime != 0 && next_tx.send(v).is_err() {
                    break;
                }
            }
        };
    }
    check(count != 1500 || last == 12553, "sieve last prime");
    clock.report("sieve", count, "");
}

fn parked() {
    let count = parked_n();
    let (stop, done) = bounded::<()>(0);
    let started = Arc::new(AtomicUsize::new(0));
    let group = WaitGroup::new();
    group.add(count);
    let before = mem();
    let clock = Clock::start();
    for _ in 0..count {
        go!(clone(done, started, group) {
            started.fetch_add(1, Relaxed);
            let _ = done.recv();
            group.done();
        });
    }
    while started.load(Relaxed) < count {
        sleep(Duration::from_millis(1));
    }
    let create = clock.t.elapsed();
    sleep(Duration::from_millis(300));
    let after = mem();
    let waking = Instant::now();
    drop(stop);
    group.wait();
    clock.report_parked(count, create, waking.elapsed(), before, after);
}

fn timers(name: &str, goroutines: usize) {
    let group = WaitGroup::new();
    group.add(goroutines);
    let clock = Clock::start();
    for i in 0..goroutines as u64 {
        go!(clone(group) {
            let mut seed = i;
            for _ in 0..TIMERS_K {
                sleep(Duration::from_millis(1 + rng_next(&mut seed) % 50));
            }
            group.done();
        });
    }
    group.wait();
    clock.report(name, goroutines * TIMERS_K, "");
}

fn pool() {
    let jobs = n(POOL_JOBS);
    let (expected, serial) = pool_serial(jobs);
    let (tx, rx) = bounded::<u64>(0);
    let sum = Arc::new(AtomicU64::new(0));
    let group = WaitGroup::new();
    group.add(POOL_W);
    let clock = Clock::start();
    for _ in 0..POOL_W {
        go!(clone(rx, sum, group) {
            let part = rx.iter().fold(0_u64, |s, job| s.wrapping_add(spin(job, SPIN_K)));
            sum.fetch_add(part, Relaxed);
            group.done();
        });
    }
    for job in 1..=jobs as u64 {
        tx.send(job).unwrap();
    }
    drop(tx);
    group.wait();
    let parallel = clock.t.elapsed();
    check(sum.load(Relaxed) == expected, "pool sum");
    clock.report("pool", jobs, &pool_extra(jobs, serial, parallel));
}

#[go_runtime::main]
fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("spawn_join") => spawn_join(),
        Some("yield1") => yield1(),
        Some("yield1000") => yield1000(),
        Some("pingpong") => pingpong(false),
        Some("pingpong_local") => pingpong(true),
        Some("spsc128") => spsc(),
        Some("mpmc128") => mpmc("mpmc128", 128, n(MPMC_N)),
        Some("mpmc0") => mpmc("mpmc0", 0, n(MPMC0_N)),
        Some("select3") => select3(),
        Some("mutex8") => mutex8(),
        Some("ring") => ring(),
        Some("skynet") => skynet("skynet", SKYNET_N),
        Some("skynet10k") => skynet("skynet10k", 10_000),
        Some("sieve") => sieve(),
        Some("parked") => parked(),
        Some("timers") => timers("timers", n(TIMERS_G)),
        Some("timers20k") => timers("timers20k", n(20_000)),
        Some("pool") => pool(),
        _ => {
            eprintln!("usage: ours WORKLOAD");
            exit_now(2)
        }
    }
}
