//! tokio peer.  Usage: tokio WORKLOAD [mpsc|flume|kanal]
//!
//! The channel family is chosen by the second argument:
//!   mpsc  = tokio::sync::mpsc (no rendezvous: "unbuffered" is capacity 1; no MPMC)
//!   flume = flume (rendezvous with bounded(0), MPMC)
//!   kanal = kanal async (rendezvous with bounded_async(0), MPMC)

mod channels;
mod families;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};

use bench_peers::*;
use channels::*;

/// Go-like WaitGroup: one counter and one Notify.
#[derive(Clone)]
struct Wg(Arc<(AtomicUsize, tokio::sync::Notify)>);
impl Wg {
    fn new(k: usize) -> Wg {
        Wg(Arc::new((AtomicUsize::new(k), tokio::sync::Notify::new())))
    }
    fn done(&self) {
        if self.0.0.fetch_sub(1, AcqRel) == 1 {
            self.0.1.notify_one();
        }
    }
    async fn wait(&self) {
        while self.0.0.load(Acquire) != 0 {
            self.0.1.notified().await;
        }
    }
}

async fn spawn_join() {
    let (rounds, per) = spawn_rounds();
    let hits = Arc::new(AtomicUsize::new(0));
    let c = Clock::start();
    for _ in 0..rounds {
        let wg = Wg::new(per);
        for _ in 0..per {
            let (wg, hits) = (wg.clone(), hits.clone());
            tokio::spawn(async move {
                hits.fetch_add(1, Relaxed);
                wg.done();
            });
        }
        wg.wait().await;
    }
    check(hits.load(Relaxed) == rounds * per, "spawn count");
    c.report("spawn_join", rounds * per, &format!("rounds={rounds}"));
}

async fn yield1() {
    let k = n(YIELD1_N);
    let c = Clock::start();
    for _ in 0..k {
        tokio::task::yield_now().await;
    }
    c.report("yield1", k, "");
}

async fn yield1000() {
    let e = n(YIELD_E);
    let wg = Wg::new(YIELD_G);
    let c = Clock::start();
    for _ in 0..YIELD_G {
        let wg = wg.clone();
        tokio::spawn(async move {
            for _ in 0..e {
                tokio::task::yield_now().await;
            }
            wg.done();
        });
    }
    wg.wait().await;
    c.report("yield1000", YIELD_G * e, "");
}

async fn mutex8(std_mutex: bool) {
    let k = n(MUTEX_N);
    let wg = Wg::new(MUTEX_G);
    let c = Clock::start();
    let cnt;
    if std_mutex {
        let m = Arc::new(std::sync::Mutex::new(0u64));
        for _ in 0..MUTEX_G {
            let (m, wg) = (m.clone(), wg.clone());
            tokio::spawn(async move {
                for _ in 0..k {
                    *m.lock().unwrap() += 1;
                }
                wg.done();
            });
        }
        wg.wait().await;
        cnt = *m.lock().unwrap();
    } else {
        let m = Arc::new(tokio::sync::Mutex::new(0u64));
        for _ in 0..MUTEX_G {
            let (m, wg) = (m.clone(), wg.clone());
            tokio::spawn(async move {
                for _ in 0..k {
                    *m.lock().await += 1;
                }
                wg.done();
            });
        }
        wg.wait().await;
        cnt = *m.lock().await;
    }
    check(cnt == (MUTEX_G * k) as u64, "mutex count");
    c.report(
        "mutex8",
        MUTEX_G * k,
        if std_mutex {
            "std::sync::Mutex"
        } else {
            "tokio::sync::Mutex"
        },
    );
}

/// parked for the mpsc family: no MPMC channel, so the done channel is a
/// tokio::sync::watch, whose receivers can be cloned.
async fn parked_watch() {
    let k = parked_n();
    let (tx, rx) = tokio::sync::watch::channel(());
    let started = Arc::new(AtomicUsize::new(0));
    let wg = Wg::new(k);
    let m0 = mem();
    let c = Clock::start();
    for _ in 0..k {
        let (mut rx, st, wg) = (rx.clone(), started.clone(), wg.clone());
        tokio::spawn(async move {
            st.fetch_add(1, Relaxed);
            let _ = rx.changed().await;
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

async fn timers(name: &str, g: usize) {
    let wg = Wg::new(g);
    let c = Clock::start();
    for i in 0..g {
        let wg = wg.clone();
        tokio::spawn(async move {
            let mut s = i as u64;
            for _ in 0..TIMERS_K {
                let ms = 1 + rng_next(&mut s) % 50;
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            wg.done();
        });
    }
    wg.wait().await;
    c.report(name, g * TIMERS_K, "");
}

async fn run(w: String, fam: String) {
    macro_rules! by_fam {
        ($f:ident $args:tt) => {
            match fam.as_str() {
                "mpsc" => w_mpsc::$f $args.await,
                "flume" => w_flume::$f $args.await,
                _ => w_kanal::$f $args.await,
            }
        };
    }
    macro_rules! by_mpmc {
        ($f:ident $args:tt) => {
            match fam.as_str() {
                "mpsc" => na(&w, "no mpmc"),
                "flume" => x_flume::$f $args.await,
                _ => x_kanal::$f $args.await,
            }
        };
    }
    match w.as_str() {
        "spawn_join" => spawn_join().await,
        "yield1" => yield1().await,
        "yield1000" => yield1000().await,
        "pingpong" => by_fam!(pingpong()),
        "spsc128" => by_fam!(spsc()),
        "mpmc128" => by_mpmc!(mpmc("mpmc128", 128, n(MPMC_N))),
        "mpmc0" => by_mpmc!(mpmc("mpmc0", 0, n(MPMC0_N))),
        "select3" => by_fam!(select3()),
        "mutex8" => mutex8(fam == "std").await,
        "ring" => by_fam!(ring()),
        "skynet" => by_fam!(skynet("skynet", SKYNET_N)),
        "skynet10k" => by_fam!(skynet("skynet10k", 10_000)),
        "sieve" => by_fam!(sieve()),
        "parked" if fam == "mpsc" => parked_watch().await,
        "parked" => by_mpmc!(parked()),
        "timers" => timers("timers", n(TIMERS_G)).await,
        "timers20k" => timers("timers20k", n(20_000)).await,
        "pool" => by_mpmc!(pool()),
        _ => {
            eprintln!("unknown workload");
            exit_now(2)
        }
    }
}

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let w = a.get(1).cloned().unwrap_or_default();
    let fam = a.get(2).cloned().unwrap_or("kanal".into());
    let rt = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    // the workload itself is a task on a worker, as a goroutine is in Go
    rt.block_on(async { tokio::spawn(run(w, fam)).await.unwrap() });
}
