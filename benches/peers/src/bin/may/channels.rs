//! The workloads over channels, once for each family that can run them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::time::Duration;

use bench_peers::*;
use may::coroutine::{sleep, yield_now};
use may::go;

// ------------------------------- workloads with one sender and one receiver end
macro_rules! pair_workloads {
    ($m:ident, $fam:ident) => {
        pub(crate) mod $m {
            use super::*;
            use crate::families::$fam::*;

            pub fn pingpong() {
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

            pub fn spsc_w() {
                let k = n(SPSC_N);
                let (tx, rx) = chan::<u64>(128);
                let c = Clock::start();
                let h = go!(move || {
                    let mut s = 0;
                    while let Some(v) = rx.recv() {
                        s += v;
                    }
                    s
                });
                for i in 0..k {
                    tx.send(i as u64);
                }
                drop(tx);
                let s = h.join().unwrap();
                check(s == sum_to(k), "spsc sum");
                c.report("spsc128", k, "");
            }
        }
    };
}
pair_workloads!(p_unb, fam_unb);
pair_workloads!(p_spsc, fam_spsc);
pair_workloads!(p_sem, fam_sem);

// -------------------------------------------------- workloads that clone Tx only
macro_rules! tree_workloads {
    ($m:ident, $fam:ident) => {
        pub(crate) mod $m {
            use super::*;
            use crate::families::$fam::*;

            pub fn ring() {
                let hops = n(RING_HOPS);
                let mut txs = vec![];
                let mut rxs = vec![];
                for _ in 0..RING_G {
                    let (t, r) = chan::<usize>(0);
                    txs.push(t);
                    rxs.push(r);
                }
                let (dtx, drx) = chan::<()>(0);
                for (i, rx) in rxs.into_iter().enumerate() {
                    let out = txs[(i + 1) % RING_G].clone();
                    let d = dtx.clone();
                    go!(move || {
                        while let Some(v) = rx.recv() {
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
                txs[0].send(hops);
                drx.recv();
                c.report("ring", hops, "");
            }

            fn skynet_co(tx: Tx<u64>, num: u64, size: u64) {
                if size == 1 {
                    tx.send(num);
                    return;
                }
                let (ctx, crx) = chan::<u64>(0);
                let sub = size / 10;
                for i in 0..10 {
                    let ctx = ctx.clone();
                    go!(move || skynet_co(ctx, num + i * sub, sub));
                }
                let mut s = 0;
                for _ in 0..10 {
                    s += crx.recv().unwrap();
                }
                tx.send(s);
            }

            pub fn skynet(name: &str, leaves: u64) {
                let (tx, rx) = chan::<u64>(0);
                let c = Clock::start();
                go!(move || skynet_co(tx, 0, leaves));
                let s = rx.recv().unwrap();
                check(s == sum_to(leaves as usize), "skynet sum");
                c.report(name, leaves as usize, "");
            }

            // may's select is built on cqueue: one coroutine per arm.  This is
            // the long-lived form (arms stay and loop), may's best case.
            pub fn select3() {
                let k = n(SELECT_N);
                let (atx, arx) = chan::<u64>(0);
                let (btx, brx) = chan::<u64>(0);
                let (dtx, drx) = chan::<()>(0);
                let c = Clock::start();
                let sum = Arc::new(AtomicU64::new(0));
                let s2 = sum.clone();
                let h = go!(move || {
                    let sum = &s2;
                    may::cqueue::scope(|cq| {
                        go!(cq, 0, move |es| loop {
                            let v = arx.recv();
                            es.send(es.get_token());
                            match v {
                                Some(v) => sum.fetch_add(v, Relaxed),
                                None => return,
                            };
                        });
                        go!(cq, 1, move |es| loop {
                            let v = brx.recv();
                            es.send(es.get_token());
                            match v {
                                Some(v) => sum.fetch_add(v, Relaxed),
                                None => return,
                            };
                        });
                        go!(cq, 2, move |es| {
                            drx.recv();
                            es.send(es.get_token());
                        });
                        loop {
                            match cq.poll(None) {
                                Ok(ev) if ev.token == 2 => break,
                                Ok(_) => {}
                                Err(_) => break,
                            }
                        }
                    });
                });
                let keep = (atx.clone(), btx.clone());
                let mut hs = vec![];
                for tx in [atx, btx] {
                    hs.push(go!(move || {
                        for _ in 0..k {
                            tx.send(1);
                        }
                    }));
                }
                for h in hs {
                    h.join().unwrap();
                }
                // the channels buffer, so done may only close when all is received
                while sum.load(Relaxed) < 2 * k as u64 {
                    yield_now();
                }
                drop(dtx);
                h.join().unwrap();
                drop(keep);
                check(sum.load(Relaxed) == 2 * k as u64, "select3 count");
                c.report("select3", 2 * k, "cqueue,_arms_loop");
            }
        }
    };
}
tree_workloads!(t_unb, fam_unb);
tree_workloads!(t_sem, fam_sem);

// ----------------------------------------------- workloads that clone Rx (MPMC)
macro_rules! mpmc_workloads {
    ($m:ident, $fam:ident) => {
        pub(crate) mod $m {
            use super::*;
            use crate::families::$fam::*;

            pub fn mpmc_w(name: &str, cap: usize, total: usize) {
                let per = total / 4;
                let (tx, rx) = chan::<u64>(cap);
                let sum = Arc::new(AtomicU64::new(0));
                let cnt = Arc::new(AtomicU64::new(0));
                let c = Clock::start();
                let mut cs = vec![];
                for _ in 0..4 {
                    let (rx, sum, cnt) = (rx.clone(), sum.clone(), cnt.clone());
                    cs.push(go!(move || {
                        let (mut s, mut k) = (0u64, 0u64);
                        while let Some(v) = rx.recv() {
                            s += v;
                            k += 1;
                        }
                        sum.fetch_add(s, Relaxed);
                        cnt.fetch_add(k, Relaxed);
                    }));
                }
                for _ in 0..4 {
                    let tx = tx.clone();
                    go!(move || {
                        for j in 0..per {
                            tx.send(j as u64);
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

            pub fn pool() {
                let jobs = n(POOL_JOBS);
                let (sref, serial) = pool_serial(jobs);
                let (tx, rx) = chan::<u64>(0);
                let c = Clock::start();
                let mut hs = vec![];
                for _ in 0..POOL_W {
                    let rx = rx.clone();
                    hs.push(go!(move || {
                        let mut s = 0u64;
                        while let Some(j) = rx.recv() {
                            s = s.wrapping_add(spin(j, SPIN_K));
                        }
                        s
                    }));
                }
                for j in 0..jobs {
                    tx.send(j as u64 + 1);
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
        }
    };
}
mpmc_workloads!(x_mpmc, fam_mpmc);
mpmc_workloads!(x_sem, fam_sem);

/// Not on unbounded channels, where the generator would run away.
pub(crate) fn sieve() {
    use crate::families::fam_sem::chan;
    let p = n(SIEVE_N);
    let c = Clock::start();
    let (tx, mut rx) = chan::<u64>(0);
    go!(move || {
        let mut i = 2;
        while tx.send(i) {
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
                if v % prime != 0 && !ntx.send(v) {
                    break;
                }
            }
        });
    }
    check(p != 1500 || last == 12553, "sieve last prime");
    c.report("sieve", p, "");
}
