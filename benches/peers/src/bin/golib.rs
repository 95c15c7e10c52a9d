//! go-lib peer.  Usage: GOMAXPROCS=2 golib WORKLOAD

use bench_peers::*;
use go_lib::chan::{Receiver, Sender, chan};
use go_lib::sync::WaitGroup;
use go_lib::{go, gosched, select, sleep};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn spawn_join() {
    let (rounds, per) = spawn_rounds();
    let hits = Arc::new(AtomicUsize::new(0));
    let c = Clock::start();
    for _ in 0..rounds {
        let wg = Arc::new(WaitGroup::new());
        wg.add(per as i64);
        for _ in 0..per {
            let (wg, hits) = (wg.clone(), hits.clone());
            go!(move || {
                hits.fetch_add(1, Relaxed);
                wg.done();
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
        gosched();
    }
    c.report("yield1", k, "");
}

fn yield1000() {
    let e = n(YIELD_E);
    let wg = Arc::new(WaitGroup::new());
    wg.add(YIELD_G as i64);
    let c = Clock::start();
    for _ in 0..YIELD_G {
        let wg = wg.clone();
        go!(move || {
            for _ in 0..e {
                gosched();
            }
            wg.done();
        });
    }
    wg.wait();
    c.report("yield1000", YIELD_G * e, "");
}

fn pingpong() {
    let k = n(PING_N);
    let (atx, arx) = chan::<u64>(0);
    let (btx, brx) = chan::<u64>(0);
    let c = Clock::start();
    go!(move || {
        while let Some(v) = arx.recv() {
            btx.send(v + 1);
        }
    });
    let mut s = 0;
    for i in 0..k {
        atx.send(i as u64);
        s += brx.recv().unwrap();
    }
    check(s == sum_to(k + 1), "pingpong sum");
    c.report("pingpong", k, "");
}

fn spsc() {
    let k = n(SPSC_N);
    let (tx, rx) = chan::<u64>(128);
    let (dtx, drx) = chan::<u64>(0);
    let c = Clock::start();
    go!(move || {
        let mut s = 0;
        while let Some(v) = rx.recv() {
            s += v;
        }
        dtx.send(s);
    });
    for i in 0..k {
        tx.send(i as u64);
    }
    tx.close();
    let s = drx.recv().unwrap();
    check(s == sum_to(k), "spsc sum");
    c.report("spsc128", k, "");
}

fn mpmc(name: &str, cap: usize, total: usize) {
    let per = total / 4;
    let (tx, rx) = chan::<u64>(cap);
    let sum = Arc::new(AtomicU64::new(0));
    let cnt = Arc::new(AtomicU64::new(0));
    let (pw, cw) = (Arc::new(WaitGroup::new()), Arc::new(WaitGroup::new()));
    pw.add(4);
    cw.add(4);
    let c = Clock::start();
    for _ in 0..4 {
        let (rx, sum, cnt, cw) = (rx.clone(), sum.clone(), cnt.clone(), cw.clone());
        go!(move || {
            let (mut s, mut k) = (0u64, 0u64);
            while let Some(v) = rx.recv() {
                s += v;
                k += 1;
            }
            sum.fetch_add(s, Relaxed);
            cnt.fetch_add(k, Relaxed);
            cw.done();
        });
    }
    for _ in 0..4 {
        let (tx, pw) = (tx.clone(), pw.clone());
        go!(move || {
            for j in 0..per {
                tx.send(j as u64);
            }
            pw.done();
        });
    }
    pw.wait();
    tx.close();
    cw.wait();
    check(cnt.load(Relaxed) == 4 * per as u64, "mpmc count");
    check(sum.load(Relaxed) == 4 * sum_to(per), "mpmc sum");
    c.report(name, 4 * per, "");
}

fn select3() {
    let k = n(SELECT_N);
    let (atx, arx) = chan::<u64>(0);
    let (btx, brx) = chan::<u64>(0);
    let (dtx, drx) = chan::<()>(0);
    let (rtx, rrx) = chan::<u64>(0);
    let c = Clock::start();
    let keep = (atx.clone(), btx.clone());
    go!(move || {
        let mut s = 0u64;
        let mut stop = false;
        while !stop {
            select! {
                recv(arx) -> v => { s += v.unwrap(); }
                recv(brx) -> v => { s += v.unwrap(); }
                recv(drx) -> _v => { stop = true; }
            }
        }
        rtx.send(s);
    });
    let wg = Arc::new(WaitGroup::new());
    wg.add(2);
    for tx in [atx, btx] {
        let wg = wg.clone();
        go!(move || {
            for _ in 0..k {
                tx.send(1);
            }
            wg.done();
        });
    }
    wg.wait();
    dtx.close();
    let s = rrx.recv().unwrap();
    drop(keep);
    check(s == 2 * k as u64, "select3 count");
    c.report("select3", 2 * k, "");
}

// go-lib has no Mutex of its own; its examples use std's, which blocks the
// thread.  Preemption by signal may stop a holder: hence the note in the table.
fn mutex8() {
    let k = n(MUTEX_N);
    let m = Arc::new(Mutex::new(0u64));
    let wg = Arc::new(WaitGroup::new());
    wg.add(MUTEX_G as i64);
    let c = Clock::start();
    for _ in 0..MUTEX_G {
        let (m, wg) = (m.clone(), wg.clone());
        go!(move || {
            for _ in 0..k {
                *m.lock().unwrap() += 1;
            }
            wg.done();
        });
    }
    wg.wait();
    check(*m.lock().unwrap() == (MUTEX_G * k) as u64, "mutex count");
    c.report("mutex8", MUTEX_G * k, "std::sync::Mutex");
}

fn ring() {
    let hops = n(RING_HOPS);
    let chs: Vec<(Sender<usize>, Receiver<usize>)> = (0..RING_G).map(|_| chan(0)).collect();
    let (dtx, drx) = chan::<()>(0);
    for i in 0..RING_G {
        let (inp, out, d) = (
            chs[i].1.clone(),
            chs[(i + 1) % RING_G].0.clone(),
            dtx.clone(),
        );
        go!(move || {
            while let Some(v) = inp.recv() {
                if v == 0 {
                    d.send(());
                    return;
                }
                out.send(v - 1);
            }
        });
    }
    sleep(Duration::from_millis(20));
    let c = Clock::start();
    chs[0].0.send(hops);
    drx.recv();
    c.report("ring", hops, "");
}

fn skynet_go(tx: Sender<u64>, num: u64, size: u64) {
    if size == 1 {
        tx.send(num);
        return;
    }
    let (ctx, crx) = chan::<u64>(0);
    let sub = size / 10;
    for i in 0..10 {
        let ctx = ctx.clone();
        go!(move || skynet_go(ctx, num + i * sub, sub));
    }
    let mut s = 0;
    for _ in 0..10 {
        s += crx.recv().unwrap();
    }
    tx.send(s);
}

fn skynet(name: &str, leaves: u64) {
    let (tx, rx) = chan::<u64>(0);
    let c = Clock::start();
    go!(move || skynet_go(tx, 0, leaves));
    let s = rx.recv().unwrap();
    check(s == sum_to(leaves as usize), "skynet sum");
    c.report(name, leaves as usize, "");
}

fn sieve() {
    let p = n(SIEVE_N);
    let c = Clock::start();
    let (tx, mut rx) = chan::<u64>(0);
    go!(move || {
        let mut i = 2;
        loop {
            tx.send(i);
            i += 1;
        }
    });
    let mut last = 0;
    for _ in 0..p {
        let prime = rx.recv().unwrap();
        last = prime;
        let (ntx, nrx) = chan::<u64>(0);
        let inp = std::mem::replace(&mut rx, nrx);
        go!(move || {
            while let Some(v) = inp.recv() {
                if v % prime != 0 {
                    ntx.send(v);
                }
            }
        });
    }
    check(p != 1500 || last == 12553, "sieve last prime");
    c.report("sieve", p, "");
}

fn parked() {
    let k = parked_n();
    let (tx, rx) = chan::<()>(0);
    let started = Arc::new(AtomicUsize::new(0));
    let wg = Arc::new(WaitGroup::new());
    wg.add(k as i64);
    let m0 = mem();
    let c = Clock::start();
    for _ in 0..k {
        let (rx, st, wg) = (rx.clone(), started.clone(), wg.clone());
        go!(move || {
            st.fetch_add(1, Relaxed);
            rx.recv();
            wg.done();
        });
    }
    while started.load(Relaxed) < k {
        sleep(Duration::from_millis(1));
    }
    let create = c.t.elapsed();
    sleep(Duration::from_millis(300));
    let m1 = mem();
    let t = Instant::now();
    tx.close();
    wg.wait();
    c.report_parked(k, create, t.elapsed(), m0, m1);
}

fn timers(name: &str, g: usize) {
    let wg = Arc::new(WaitGroup::new());
    wg.add(g as i64);
    let c = Clock::start();
    for i in 0..g {
        let wg = wg.clone();
        go!(move || {
            let mut s = i as u64;
            for _ in 0..TIMERS_K {
                let ms = 1 + rng_next(&mut s) % 50;
                sleep(Duration::from_millis(ms));
            }
            wg.done();
        });
    }
    wg.wait();
    c.report(name, g * TIMERS_K, "");
}

fn pool() {
    let jobs = n(POOL_JOBS);
    let (sref, serial) = pool_serial(jobs);
    let (tx, rx) = chan::<u64>(0);
    let sum = Arc::new(AtomicU64::new(0));
    let wg = Arc::new(WaitGroup::new());
    wg.add(POOL_W as i64);
    let c = Clock::start();
    for _ in 0..POOL_W {
        let (rx, sum, wg) = (rx.clone(), sum.clone(), wg.clone());
        go!(move || {
            let mut s = 0u64;
            while let Some(j) = rx.recv() {
                s = s.wrapping_add(spin(j, SPIN_K));
            }
            sum.fetch_add(s, Relaxed);
            wg.done();
        });
    }
    for j in 0..jobs {
        tx.send(j as u64 + 1);
    }
    tx.close();
    wg.wait();
    let par = c.t.elapsed();
    check(sum.load(Relaxed) == sref, "pool sum");
    c.report("pool", jobs, &pool_extra(jobs, serial, par));
}

#[go_lib::main]
fn main() {
    let w = std::env::args().nth(1).unwrap_or_default();
    match w.as_str() {
        "spawn_join" => spawn_join(),
        "yield1" => yield1(),
        "yield1000" => yield1000(),
        "pingpong" => pingpong(),
        "spsc128" => spsc(),
        "mpmc128" => mpmc("mpmc128", 128, n(MPMC_N)),
        "mpmc0" => mpmc("mpmc0", 0, n(MPMC0_N)),
        "select3" => select3(),
        "mutex8" => mutex8(),
        "ring" => ring(),
        "skynet" => skynet("skynet", SKYNET_N),
        "skynet10k" => skynet("skynet10k", 10_000),
        "sieve" => sieve(),
        "parked" => parked(),
        "timers" => timers("timers", n(TIMERS_G)),
        "timers20k" => timers("timers20k", n(20_000)),
        "pool" => pool(),
        _ => {
            eprintln!("unknown workload");
            exit_now(2)
        }
    }
}
