//! The workloads of `compare` on tokio, with kanal's channels. Usage:
//! `GOMAXPROCS=2 tokio WORKLOAD COUNT`

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::Duration;

use bench_peers::*;
use kanal::{AsyncSender, bounded_async};
use tokio::sync::{Mutex, Notify};
use tokio::task::yield_now;
use tokio::{spawn, time::sleep};

/// Go's `WaitGroup`: a counter and a notification.
#[derive(Clone)]
struct Group(Arc<(AtomicUsize, Notify)>);

impl Group {
    fn new(count: usize) -> Group {
        Group(Arc::new((AtomicUsize::new(count), Notify::new())))
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

/// Starts `count` tasks, each with what `make` returns for its number, and waits until all have
/// ended.
async fn all<F>(count: usize, make: impl Fn(usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let group = Group::new(count);
    for i in 0..count {
        let (group, run) = (group.clone(), make(i));
        spawn(async move {
            run.await;
            group.done();
        });
    }
    group.wait().await;
}

async fn spawn_join(count: usize) {
    let hits: &AtomicUsize = Box::leak(Box::default());
    let per = count / 10;
    let clock = Clock::start();
    for _ in 0..10 {
        let group = Group::new(per);
        for _ in 0..per {
            let group = group.clone();
            spawn(async move {
                hits.fetch_add(1, Relaxed);
                group.done();
            });
        }
        group.wait().await;
    }
    check(hits.load(Relaxed) == 10 * per, "spawn count");
    clock.report("spawn_join", 10 * per);
}

async fn yield1(count: usize) {
    let clock = Clock::start();
    for _ in 0..count {
        yield_now().await;
    }
    clock.report("yield1", count);
}

async fn yield1000(count: usize) {
    let each = count / 1000;
    let clock = Clock::start();
    all(1000, |_| async move {
        for _ in 0..each {
            yield_now().await;
        }
    })
    .await;
    clock.report("yield1000", 1000 * each);
}

async fn pingpong(name: &str, count: usize) {
    let (ping, pings) = bounded_async::<u64>(0);
    let (pong, pongs) = bounded_async::<u64>(0);
    let clock = Clock::start();
    spawn(async move {
        while let Ok(v) = pings.recv().await {
            pong.send(v + 1).await.unwrap();
        }
    });
    let mut sum = 0;
    for i in 0..count as u64 {
        ping.send(i).await.unwrap();
        sum += pongs.recv().await.unwrap();
    }
    check(sum == sum_to(count + 1), "pingpong sum");
    clock.report(name, count);
}

/// Sends from `senders` tasks to as many receivers; a single sender is the caller itself.
async fn messages(name: &str, capacity: usize, count: usize, senders: usize) {
    let per = count / senders;
    let (tx, rx) = bounded_async::<u64>(capacity);
    let clock = Clock::start();
    let mut receivers = Vec::new();
    for _ in 0..senders {
        let rx = rx.clone();
        receivers.push(spawn(async move {
            let (mut sum, mut count) = (0, 0);
            while let Ok(v) = rx.recv().await {
                (sum, count) = (sum + v, count + 1);
            }
            (sum, count)
        }));
    }
    drop(rx);
    let send = |tx: AsyncSender<u64>| async move {
        for j in 0..per as u64 {
            tx.send(j).await.unwrap();
        }
    };
    for _ in 1..senders {
        spawn(send(tx.clone()));
    }
    if senders == 1 {
        send(tx).await;
    } else {
        spawn(send(tx));
    }
    let (mut sum, mut received) = (0, 0);
    for receiver in receivers {
        let (s, k) = receiver.await.unwrap();
        (sum, received) = (sum + s, received + k);
    }
    check(received == senders * per, "messages' count");
    check(sum == senders as u64 * sum_to(per), "messages' sum");
    clock.report(name, senders * per);
}

async fn select3(count: usize) {
    let each = count / 2;
    let (atx, arx) = bounded_async::<u64>(0);
    let (btx, brx) = bounded_async::<u64>(0);
    let (stop, done) = bounded_async::<()>(0);
    let clock = Clock::start();
    let sum = spawn(async move {
        let mut sum = 0;
        loop {
            tokio::select! {
                v = arx.recv() => sum += v.unwrap(),
                v = brx.recv() => sum += v.unwrap(),
                _ = done.recv() => break sum,
            }
        }
    });
    // These are kept, so that only `done` ends the loop.
    let senders = [atx, btx];
    all(2, |i| {
        let tx = senders[i].clone();
        async move {
            for _ in 0..each {
                tx.send(1).await.unwrap();
            }
        }
    })
    .await;
    drop(stop);
    let lost = 2 * each as u64 - sum.await.unwrap();
    drop(senders);
    check(lost == 0, &format!("select3: {lost} messages lost"));
    clock.report("select3", 2 * each);
}

async fn mutex8(count: usize) {
    let each = count / 8;
    let mutex = Arc::new(Mutex::new(0_u64));
    let clock = Clock::start();
    all(8, |_| {
        let mutex = mutex.clone();
        async move {
            for _ in 0..each {
                *mutex.lock().await += 1;
            }
        }
    })
    .await;
    check(*mutex.lock().await == 8 * each as u64, "mutex count");
    clock.report("mutex8", 8 * each);
}

async fn ring(name: &str, members: usize, hops: usize) {
    let (outputs, inputs): (Vec<_>, Vec<_>) =
        (0..members).map(|_| bounded_async::<usize>(0)).unzip();
    let (finish, finished) = bounded_async::<()>(0);
    for (i, input) in inputs.into_iter().enumerate() {
        let (output, finish) = (outputs[(i + 1) % members].clone(), finish.clone());
        spawn(async move {
            while let Ok(v) = input.recv().await {
                if v == 0 {
                    finish.send(()).await.unwrap();
                } else {
                    output.send(v - 1).await.unwrap();
                }
            }
        });
    }
    // After a turn of the token all tasks wait for it.
    outputs[0].send(members).await.unwrap();
    finished.recv().await.unwrap();
    let clock = Clock::start();
    outputs[0].send(hops).await.unwrap();
    finished.recv().await.unwrap();
    clock.report(name, hops);
}

fn skynet_node(tx: AsyncSender<u64>, num: u64, size: u64) {
    spawn(async move {
        if size == 1 {
            tx.send(num).await.unwrap();
            return;
        }
        let (child_tx, child_rx) = bounded_async::<u64>(0);
        let sub = size / 10;
        for i in 0..10 {
            skynet_node(child_tx.clone(), num + i * sub, sub);
        }
        let mut sum = 0;
        for _ in 0..10 {
            sum += child_rx.recv().await.unwrap();
        }
        tx.send(sum).await.unwrap();
    });
}

async fn skynet(name: &str, leaves: usize) {
    let (tx, rx) = bounded_async::<u64>(0);
    let clock = Clock::start();
    skynet_node(tx, 0, leaves as u64);
    let sum = rx.recv().await.unwrap();
    check(sum == sum_to(leaves), "skynet sum");
    clock.report(name, leaves);
}

async fn sieve(count: usize) {
    let clock = Clock::start();
    let (tx, mut rx) = bounded_async::<u64>(0);
    spawn(async move {
        let mut i = 2;
        while tx.send(i).await.is_ok() {
            i += 1;
        }
    });
    let mut last = 0;
    for _ in 0..count {
        let prime = rx.recv().await.unwrap();
        last = prime;
        let (next_tx, next_rx) = bounded_async::<u64>(0);
        let input = std::mem::replace(&mut rx, next_rx);
        spawn(async move {
            while let Ok(v) = input.recv().await {
                if v % prime != 0 && next_tx.send(v).await.is_err() {
                    break;
                }
            }
        });
    }
    check(count != 1500 || last == 12553, "sieve last prime");
    clock.report("sieve", count);
}

async fn timers(count: usize) {
    let sleepers = count / 10;
    let clock = Clock::start();
    all(sleepers, |i| async move {
        let mut seed = i as u64;
        for _ in 0..10 {
            sleep(Duration::from_millis(1 + rng_next(&mut seed) % 50)).await;
        }
    })
    .await;
    clock.report("timers", sleepers * 10);
}

async fn pool(jobs: usize) {
    let expected = (1..=jobs as u64).fold(0_u64, |sum, job| sum.wrapping_add(spin(job)));
    let (tx, rx) = bounded_async::<u64>(0);
    let clock = Clock::start();
    let mut workers = Vec::new();
    for _ in 0..4 {
        let rx = rx.clone();
        workers.push(spawn(async move {
            let mut sum = 0_u64;
            while let Ok(job) = rx.recv().await {
                sum = sum.wrapping_add(spin(job));
            }
            sum
        }));
    }
    for job in 1..=jobs as u64 {
        tx.send(job).await.unwrap();
    }
    drop(tx);
    let mut sum = 0_u64;
    for worker in workers {
        sum = sum.wrapping_add(worker.await.unwrap());
    }
    check(sum == expected, "pool sum");
    clock.report("pool", jobs);
}

async fn run() {
    let (name, count) = arguments();
    match name.as_str() {
        "spawn_join" => spawn_join(count).await,
        "yield1" => yield1(count).await,
        "yield1000" => yield1000(count).await,
        "pingpong" | "pingpong_local" => pingpong(&name, count).await,
        "spsc128" => messages(&name, 128, count, 1).await,
        "mpmc128" => messages(&name, 128, count, 4).await,
        "mpmc0" => messages(&name, 0, count, 4).await,
        "select3" => select3(count).await,
        "mutex8" => mutex8(count).await,
        "ring" => ring(&name, 1_000, count).await,
        "ring100k" => ring(&name, 100_000, count).await,
        "skynet" | "skynet10k" => skynet(&name, count).await,
        "sieve" => sieve(count).await,
        "timers" => timers(count).await,
        "pool" => pool(count).await,
        _ => check(false, "no such workload"),
    }
}

fn main() {
    on_worker(run());
}
