//! The workloads over channels, once for each family.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};

use bench_peers::*;

use crate::Wg;

macro_rules! chan_workloads {
    ($m:ident, $fam:ident) => {
        pub(crate) mod $m {
            use super::*;
            use crate::families::$fam::*;

            pub async fn pingpong() {
                let k = n(PING_N);
                let (atx, mut arx) = chan::<u64>(0);
                let (btx, mut brx) = chan::<u64>(0);
                let c = Clock::start();
                tokio::spawn(async move {
                    while let Some(v) = arx.recv().await {
                        btx.send(v + 1).await;
                    }
                });
                let mut s = 0;
                for i in 0..k {
                    atx.send(i as u64).await;
                    s += brx.recv().await.unwrap();
                }
                check(s == sum_to(k + 1), "pingpong sum");
                c.report("pingpong", k, "");
            }

            pub async fn spsc() {
                let k = n(SPSC_N);
                let (tx, mut rx) = chan::<u64>(128);
                let c = Clock::start();
                let h = tokio::spawn(async move {
                    let mut s = 0;
                    while let Some(v) = rx.recv().await {
                        s += v;
                    }
                    s
                });
                for i in 0..k {
                    tx.send(i as u64).await;
                }
                drop(tx);
                let s = h.await.unwrap();
                check(s == sum_to(k), "spsc sum");
                c.report("spsc128", k, "");
            }

            pub async fn select3() {
                let k = n(SELECT_N);
                let (atx, mut arx) = chan::<u64>(0);
                let (btx, mut brx) = chan::<u64>(0);
                let (dtx, mut drx) = chan::<()>(0);
                let c = Clock::start();
                let h = tokio::spawn(async move {
                    let mut s = 0u64;
                    let (mut aopen, mut bopen) = (true, true);
                    loop {
                        tokio::select! {
                            v = arx.recv(), if aopen => match v {
                                Some(v) => s += v,
                                None => aopen = false,
                            },
                            v = brx.recv(), if bopen => match v {
                                Some(v) => s += v,
                                None => bopen = false,
                            },
                            _ = drx.recv() => break,
                        }
                    }
                    // "unbuffered" is capacity 1 in some families
                    while let Some(v) = arx.try_recv() {
                        s += v;
                    }
                    while let Some(v) = brx.try_recv() {
                        s += v;
                    }
                    s
                });
                let mut hs = vec![];
                let keep = (atx.clone(), btx.clone());
                for tx in [atx, btx] {
                    hs.push(tokio::spawn(async move {
                        for _ in 0..k {
                            check(tx.send(1).await, "select3 send reported failure");
                        }
                    }));
                }
                for h in hs {
                    h.await.unwrap();
                }
                drop(dtx);
                let s = h.await.unwrap();
                drop(keep);
                let lost = 2 * k as u64 - s;
                if NAME != "tokio-kanal" {
                    check(lost == 0, &format!("select3 count: {lost} lost"));
                }
                c.report("select3", 2 * k, &format!("lost={lost}"));
            }

            pub async fn ring() {
                let hops = n(RING_HOPS);
                let mut txs = vec![];
                let mut rxs = vec![];
                for _ in 0..RING_G {
                    let (t, r) = chan::<usize>(0);
                    txs.push(t);
                    rxs.push(r);
                }
                let (dtx, mut drx) = chan::<()>(0);
                for (i, mut rx) in rxs.into_iter().enumerate() {
                    let out = txs[(i + 1) % RING_G].clone();
                    let d = dtx.clone();
                    tokio::spawn(async move {
                        while let Some(v) = rx.recv().await {
                            if v == 0 {
                                d.send(()).await;
                                return;
                            }
                            out.send(v - 1).await;
                        }
                    });
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                let c = Clock::start();
                txs[0].send(hops).await;
                drx.recv().await;
                c.report("ring", hops, "");
            }

            fn spawn_skynet(tx: Tx<u64>, num: u64, size: u64) {
                tokio::spawn(async move {
                    if size == 1 {
                        tx.send(num).await;
                        return;
                    }
                    let (ctx, mut crx) = chan::<u64>(0);
                    let sub = size / 10;
                    for i in 0..10 {
                        spawn_skynet(ctx.clone(), num + i * sub, sub);
                    }
                    let mut s = 0;
                    for _ in 0..10 {
                        s += crx.recv().await.unwrap();
                    }
                    tx.send(s).await;
                });
            }

            pub async fn skynet(name: &str, leaves: u64) {
                let (tx, mut rx) = chan::<u64>(0);
                let c = Clock::start();
                spawn_skynet(tx, 0, leaves);
                let s = rx.recv().await.unwrap();
                check(s == sum_to(leaves as usize), "skynet sum");
                c.report(name, leaves as usize, "");
            }

            pub async fn sieve() {
                let p = n(SIEVE_N);
                let c = Clock::start();
                let (tx, mut rx) = chan::<u64>(0);
                tokio::spawn(async move {
                    let mut i = 2;
                    while tx.send(i).await {
                        i += 1;
                    }
                });
                let mut last = 0;
                for _ in 0..p {
                    let prime = rx.recv().await.unwrap();
                    last = prime;
                    let (ntx, nrx) = chan::<u64>(0);
                    let mut inp = std::mem::replace(&mut rx, nrx);
                    tokio::spawn(async move {
                        while let Some(v) = inp.recv().await {
                            if v % prime != 0 && !ntx.send(v).await {
                                break;
                            }
                        }
                    });
                }
                check(p != 1500 || last == 12553, "sieve last prime");
                c.report("sieve", p, "");
            }
        }
    };
}
chan_workloads!(w_mpsc, fam_mpsc);
chan_workloads!(w_flume, fam_flume);
chan_workloads!(w_kanal, fam_kanal);

// ----------------------------------------------- workloads that clone Rx (MPMC)
macro_rules! mpmc_workloads {
    ($m:ident, $fam:ident) => {
        pub(crate) mod $m {
            use super::*;
            use crate::families::$fam::*;

            pub async fn mpmc(name: &str, cap: usize, total: usize) {
                let per = total / 4;
                let (tx, rx) = chan::<u64>(cap);
                let sum = Arc::new(AtomicU64::new(0));
                let cnt = Arc::new(AtomicU64::new(0));
                let c = Clock::start();
                let mut cs = vec![];
                for _ in 0..4 {
                    let (mut rx, sum, cnt) = (rx.clone(), sum.clone(), cnt.clone());
                    cs.push(tokio::spawn(async move {
                        let (mut s, mut k) = (0u64, 0u64);
                        while let Some(v) = rx.recv().await {
                            s += v;
                            k += 1;
                        }
                        sum.fetch_add(s, Relaxed);
                        cnt.fetch_add(k, Relaxed);
                    }));
                }
                for _ in 0..4 {
                    let tx = tx.clone();
                    tokio::spawn(async move {
                        for j in 0..per {
                            tx.send(j as u64).await;
                        }
                    });
                }
                drop(tx);
                for h in cs {
                    h.await.unwrap();
                }
                check(cnt.load(Relaxed) == 4 * per as u64, "mpmc count");
                check(sum.load(Relaxed) == 4 * sum_to(per), "mpmc sum");
                c.report(name, 4 * per, "");
            }

            pub async fn parked() {
                let k = parked_n();
                let (tx, rx) = chan::<()>(0);
                let started = Arc::new(AtomicUsize::new(0));
                let wg = Wg::new(k);
                let m0 = mem();
                let c = Clock::start();
                for _ in 0..k {
                    let (mut rx, st, wg) = (rx.clone(), started.clone(), wg.clone());
                    tokio::spawn(async move {
                        st.fetch_add(1, Relaxed);
                        rx.recv().await;
                        wg.done();
                    });
                }
                while started.load(Relaxed) < k {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                let create = c.t.elapsed();
                tokio::time::sleep(Duration::from_millis(300)).await;
                let m1 = mem();
                let t = Instant::now();
                drop(tx);
                wg.wait().await;
                c.report_parked(k, create, t.elapsed(), m0, m1);
            }

            pub async fn pool() {
                let jobs = n(POOL_JOBS);
                let (sref, serial) = pool_serial(jobs);
                let (tx, rx) = chan::<u64>(0);
                let c = Clock::start();
                let mut hs = vec![];
                for _ in 0..POOL_W {
                    let mut rx = rx.clone();
                    hs.push(tokio::spawn(async move {
                        let mut s = 0u64;
                        while let Some(j) = rx.recv().await {
                            s = s.wrapping_add(spin(j, SPIN_K));
                        }
                        s
                    }));
                }
                for j in 0..jobs {
                    tx.send(j as u64 + 1).await;
                }
                drop(tx);
                let mut s = 0u64;
                for h in hs {
                    s = s.wrapping_add(h.await.unwrap());
                }
                let par = c.t.elapsed();
                check(s == sref, "pool sum");
                c.report("pool", jobs, &pool_extra(jobs, serial, par));
            }
        }
    };
}
mpmc_workloads!(x_flume, fam_flume);
mpmc_workloads!(x_kanal, fam_kanal);
