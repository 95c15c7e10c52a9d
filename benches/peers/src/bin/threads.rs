//! OS-thread peer: one std thread per goroutine (64 KiB stacks), crossbeam
//! channels.  Usage: threads WORKLOAD

use bench_peers::*;
use crossbeam_channel::{Receiver, Sender, bounded, select};
use crossbeam_utils::sync::WaitGroup;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

fn try_go<F: FnOnce() -> T + Send + 'static, T: Send + 'static>(
    f: F,
) -> std::io::Result<thread::JoinHandle<T>> {
    thread::Builder::new().stack_size(64 << 10).spawn(f)
}

fn go<F: FnOnce() -> T + Send + 'static, T: Send + 'static>(f: F) -> thread::JoinHandle<T> {
    match try_go(f) {
        Ok(h) => h,
        Err(e) => {
            eprintln!("thread spawn failed: {e}");
            exit_now(5)
        }
    }
}

fn spawn_join() {
    let (rounds, per) = spawn_rounds();
    let hits = Arc::new(AtomicUsize::new(0));
    let c = Clock::start();
    for _ in 0..rounds {
        let wg = WaitGroup::new();
        for _ in 0..per {
            let (wg, hits) = (wg.clone(), hits.clone());
            go(move || {
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
        thread::yield_now();
    }
    c.report("yield1", k, "");
}

fn yield1000() {
    let e = n(YIELD_E);
    let wg = WaitGroup::new();
    let c = Clock::start();
    for _ in 0..YIELD_G {
        let wg = wg.clone();
        go(move || {
            for _ in 0..e {
                thread::yield_now();
            }
            drop(wg);
        });
    }
    wg.wait();
    c.report("yield1000", YIELD_G * e, "");
}

fn pingpong() {
    let k = n(PING_N);
    let (atx, arx) = bounded::<u64>(0);
    let (btx, brx) = bounded::<u64>(0);
    let c = Clock::start();
    go(move || {
        while let Ok(v) = arx.recv() {
            let _ = btx.send(v + 1);
        }
    });
    let mut s = 0;
    for i in 0..k {
        atx.send(i as u64).unwrap();
        s += brx.recv().unwrap();
    }
    check(s == sum_to(k + 1), "pingpong sum");
    c.report("pingpong", k, "");
}

fn spsc() {
    let k = n(SPSC_N);
    let (tx, rx) = bounded::<u64>(128);
    let c = Clock::start();
    let h = go(move || {
        let mut s = 0;
        while let Ok(v) = rx.recv() {
            s += v;
        }
        s
    });
    for i in 0..k {
        tx.send(i as u64).unwrap();
    }
    drop(tx);
    let s = h.join().unwrap();
    check(s == sum_to(k), "spsc sum");
    c.report("spsc128", k, "");
}

fn mpmc(name: &str, cap: usize, total: usize) {
    let per = total / 4;
    let (tx, rx) = bounded::<u64>(cap);
    let sum = Arc::new(AtomicU64::new(0));
    let cnt = Arc::new(AtomicU64::new(0));
    let c = Clock::start();
    let mut cs = vec![];
    for _ in 0..4 {
        let (rx, sum, cnt) = (rx.clone(), sum.clone(), cnt.clone());
        cs.push(go(move || {
            let (mut s, mut k) = (0u64, 0u64);
            while let Ok(v) = rx.recv() {
                s += v;
                k += 1;
            }
            sum.fetch_add(s, Relaxed);
            cnt.fetch_add(k, Relaxed);
        }));
    }
    for _ in 0..4 {
        let tx = tx.clone();
        go(move || {
            for j in 0..per {
                tx.send(j as u64).unwrap();
            }
        });
    }
    drop(tx);
    for h in cs {
        h.join().unwrap();
    }
    check(cnt.load(Relaxed) == 4 * per as u64, "mpmc count");
    check(sum.load(Relaxed) == 4 * sum_to(per), "mpmc sum");
    c.report(name, 4 * per, "");
}

fn select3() {
    let k = n(SELECT_N);
    let (atx, arx) = bounded::<u64>(0);
    let (btx, brx) = bounded::<u64>(0);
    let (dtx, drx) = bounded::<()>(0);
    let c = Clock::start();
    let keep = (atx.clone(), btx.clone());
    let h = go(move || {
        let mut s = 0u64;
        loop {
            select! {
                recv(arx) -> v => s += v.unwrap(),
                recv(brx) -> v => s += v.unwrap(),
                recv(drx) -> _ => return s,
            }
        }
    });
    let mut hs = vec![];
    for tx in [atx, btx] {
        hs.push(go(move || {
            for _ in 0..k {
                tx.send(1).unwrap();
            }
        }));
    }
    for h in hs {
        h.join().unwrap();
    }
    drop(dtx);
    let s = h.join().unwrap();
    drop(keep);
    check(s == 2 * k as u64, "select3 count");
    c.report("select3", 2 * k, "");
}

fn mutex8() {
    let k = n(MUTEX_N);
    let m = Arc::new(Mutex::new(0u64));
    let wg = WaitGroup::new();
    let c = Clock::start();
    for _ in 0..MUTEX_G {
        let (m, wg) = (m.clone(), wg.clone());
        go(move || {
            for _ in 0..k {
                *m.lock().unwrap() += 1;
            }
            drop(wg);
        });
    }
    wg.wait();
    check(*m.lock().unwrap() == (MUTEX_G * k) as u64, "mutex count");
    c.report("mutex8", MUTEX_G * k, "std::sync::Mutex");
}

fn ring() {
    let hops = n(RING_HOPS);
    let chs: Vec<(Sender<usize>, Receiver<usize>)> = (0..RING_G).map(|_| bounded(0)).collect();
    let (dtx, drx) = bounded::<()>(0);
    for i in 0..RING_G {
        let (inp, out, d) = (
            chs[i].1.clone(),
            chs[(i + 1) % RING_G].0.clone(),
            dtx.clone(),
        );
        go(move || {
            while let Ok(v) = inp.recv() {
                if v == 0 {
                    let _ = d.send(());
                    return;
                }
                let _ = out.send(v - 1);
            }
        });
    }
    thread::sleep(Duration::from_millis(200));
    let c = Clock::start();
    chs[0].0.send(hops).unwrap();
    drx.recv().unwrap();
    c.report("ring", hops, "");
}

fn skynet_th(tx: Sender<u64>, num: u64, size: u64) {
    if size == 1 {
        tx.send(num).unwrap();
        return;
    }
    let (ctx, crx) = bounded::<u64>(0);
    let sub = size / 10;
    for i in 0..10 {
        let ctx = ctx.clone();
        go(move || skynet_th(ctx, num + i * sub, sub));
    }
    let mut s = 0;
    for _ in 0..10 {
        s += crx.recv().unwrap();
    }
    tx.send(s).unwrap();
}

fn skynet(name: &str, leaves: u64) {
    let (tx, rx) = bounded::<u64>(0);
    let c = Clock::start();
    go(move || skynet_th(tx, 0, leaves));
    let s = rx.recv().unwrap();
    check(s == sum_to(leaves as usize), "skynet sum");
    c.report(name, leaves as usize, "");
}

fn sieve() {
    let p = n(SIEVE_N);
    let c = Clock::start();
    let (tx, mut rx) = bounded::<u64>(0);
    go(move || {
        let mut i = 2;
        while tx.send(i).is_ok() {
            i += 1;
        }
    });
    let mut last = 0;
    for _ in 0..p {
        let prime = rx.recv().unwrap();
        last = prime;
        let (ntx, nrx) = bounded::<u64>(0);
        let inp = std::mem::replace(&mut rx, nrx);
        go(move || {
            while let Ok(v) = inp.recv() {
                if v % prime != 0 && ntx.send(v).is_err() {
                    break;
                }
            }
        });
    }
    check(p != 1500 || last == 12553, "sieve last prime");
    c.report("sieve", p, "");
}

fn parked() {
    let want = parked_n();
    let (tx, rx) = bounded::<()>(0);
    let started = Arc::new(AtomicUsize::new(0));
    let wg = WaitGroup::new();
    let m0 = mem();
    let c = Clock::start();
    let mut k = 0;
    for _ in 0..want {
        let (rx, st, wg) = (rx.clone(), started.clone(), wg.clone());
        match try_go(move || {
            st.fetch_add(1, Relaxed);
            let _ = rx.recv();
            drop(wg);
        }) {
            Ok(_) => k += 1,
            Err(e) => {
                eprintln!("parked: thread {k} failed: {e}");
                break;
            }
        }
    }
    while started.load(Relaxed) < k {
        thread::sleep(Duration::from_millis(1));
    }
    let create = c.t.elapsed();
    thread::sleep(Duration::from_millis(300));
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
        go(move || {
            let mut s = i as u64;
            for _ in 0..TIMERS_K {
                let ms = 1 + rng_next(&mut s) % 50;
                thread::sleep(Duration::from_millis(ms));
            }
            drop(wg);
        });
    }
    wg.wait();
    c.report(name, g * TIMERS_K, "");
}

fn pool() {
    let jobs = n(POOL_JOBS);
    let (sref, serial) = pool_serial(jobs);
    let (tx, rx) = bounded::<u64>(0);
    let c = Clock::start();
    let mut hs = vec![];
    for _ in 0..POOL_W {
        let rx = rx.clone();
        hs.push(go(move || {
            let mut s = 0u64;
            while let Ok(j) = rx.recv() {
                s = s.wrapping_add(spin(j, SPIN_K));
            }
            s
        }));
    }
    for j in 0..jobs {
        tx.send(j as u64 + 1).unwrap();
    }
    drop(tx);
    let mut s = 0u64;
    for h in hs {
        s = s.wrapping_add(h.join().unwrap());
    }
    let par = c.t.elapsed();
    check(s == sref, "pool sum");
    c.report("pool", jobs, &pool_extra(jobs, serial, par));
}

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
