//! The workloads of `compare` for runtimes whose operations block: this runtime, may and plain
//! threads.
//!
//! Each program includes this file as a module and has a module `rt` with the runtime's own
//! operations: `spawn`, `spawn_near`, `group` and `done` (a WaitGroup of that many members),
//! `Mutex`, `sleep`, `yield_now`, `sum_of_two` (a receiver that selects over three channels),
//! `all_received` (which waits for that receiver where channels are unbounded) and three kinds of
//! channels. `pair` has one sender and one receiver, `fan_in` one receiver, `bounded` any number of
//! both. Each workload does the same work as its namesake in `go/main.go` and
//! `peers/src/bin/tokio.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::rt::*;

/// Starts `count` goroutines, each with what `make` returns for its number, and waits until all
/// have ended.
fn all<F: FnOnce() + Send + 'static>(count: usize, make: impl Fn(usize) -> F) {
    let group = group(count);
    for i in 0..count {
        // (`group.clone()` would be another function where the group is a reference.)
        let (group, run) = (Clone::clone(&group), make(i));
        drop(spawn(move || {
            run();
            done(group);
        }));
    }
    group.wait();
}

fn spawn_join(count: usize) {
    // Shared by reference, as in Go, because counting references would be most of the work.
    let hits: &AtomicUsize = Box::leak(Box::default());
    let per = count / 10;
    let clock = Clock::start();
    for _ in 0..10 {
        let group = group(per);
        for _ in 0..per {
            let group = Clone::clone(&group);
            drop(spawn(move || {
                hits.fetch_add(1, Relaxed);
                done(group);
            }));
        }
        group.wait();
    }
    check(hits.load(Relaxed) == 10 * per, "spawn count");
    clock.report("spawn_join", 10 * per);
}

fn yield1(count: usize) {
    let clock = Clock::start();
    for _ in 0..count {
        yield_now();
    }
    clock.report("yield1", count);
}

fn yield1000(count: usize) {
    let each = count / 1000;
    let clock = Clock::start();
    all(1000, |_| move || (0..each).for_each(|_| yield_now()));
    clock.report("yield1000", 1000 * each);
}

/// With `near`, both ends share a worker where the runtime can do that.
fn pingpong(name: &str, count: usize, near: bool) {
    let (ping, pings) = pair::<u64>(0);
    let (pong, pongs) = pair::<u64>(0);
    let clock = Clock::start();
    let partner = move || {
        while let Ok(v) = pings.recv() {
            pong.send(v + 1).unwrap();
        }
    };
    drop(if near {
        spawn_near(partner)
    } else {
        spawn(partner)
    });
    let mut sum = 0;
    for i in 0..count as u64 {
        ping.send(i).unwrap();
        sum += pongs.recv().unwrap();
    }
    check(sum == sum_to(count + 1), "pingpong sum");
    clock.report(name, count);
}

fn spsc(count: usize) {
    let (tx, rx) = pair::<u64>(128);
    let clock = Clock::start();
    let sum = spawn(move || {
        let mut sum = 0;
        while let Ok(v) = rx.recv() {
            sum += v;
        }
        sum
    });
    for i in 0..count as u64 {
        tx.send(i).unwrap();
    }
    drop(tx);
    check(sum.join().unwrap() == sum_to(count), "spsc sum");
    clock.report("spsc128", count);
}

fn mpmc(name: &str, capacity: usize, count: usize) {
    let per = count / 4;
    let (tx, rx) = bounded::<u64>(capacity);
    let clock = Clock::start();
    let receivers = [(); 4].map(|()| {
        let rx = rx.clone();
        spawn(move || {
            let (mut sum, mut count) = (0, 0);
            while let Ok(v) = rx.recv() {
                (sum, count) = (sum + v, count + 1);
            }
            (sum, count)
        })
    });
    drop(rx);
    all(4, |_| {
        let tx = tx.clone();
        move || (0..per as u64).for_each(|j| tx.send(j).unwrap())
    });
    drop(tx);
    let (sum, received) = receivers
        .into_iter()
        .map(|receiver| receiver.join().unwrap())
        .fold((0, 0), |(s, k), (t, l): (u64, usize)| (s + t, k + l));
    check(received == 4 * per, "mpmc count");
    check(sum == 4 * sum_to(per), "mpmc sum");
    clock.report(name, 4 * per);
}

fn select3(count: usize) {
    let each = count / 2;
    let (atx, arx) = fan_in::<u64>(0);
    let (btx, brx) = fan_in::<u64>(0);
    let (stop, done) = fan_in::<()>(0);
    let clock = Clock::start();
    let sum = spawn(move || sum_of_two(arx, brx, done));
    // These are kept, so that only `done` ends the loop.
    let senders = [atx, btx];
    all(2, |i| {
        let tx = senders[i].clone();
        move || (0..each).for_each(|_| tx.send(1).unwrap())
    });
    all_received(2 * each as u64);
    drop(stop);
    let sum = sum.join().unwrap();
    drop(senders);
    check(sum == 2 * each as u64, "select3 count");
    clock.report("select3", 2 * each);
}

fn mutex8(count: usize) {
    let each = count / 8;
    let mutex = Arc::new(Mutex::new(0_u64));
    let clock = Clock::start();
    all(8, |_| {
        let mutex = mutex.clone();
        move || {
            for _ in 0..each {
                *mutex.lock().unwrap() += 1;
            }
        }
    });
    let total = *mutex.lock().unwrap();
    check(total == 8 * each as u64, "mutex count");
    clock.report("mutex8", 8 * each);
}

fn ring(name: &str, members: usize, hops: usize) {
    let (outputs, inputs): (Vec<_>, Vec<_>) = (0..members).map(|_| fan_in::<usize>(0)).unzip();
    let (finish, finished) = fan_in::<()>(0);
    for (i, input) in inputs.into_iter().enumerate() {
        let (output, finish) = (outputs[(i + 1) % members].clone(), finish.clone());
        drop(spawn(move || {
            while let Ok(v) = input.recv() {
                if v == 0 {
                    finish.send(()).unwrap();
                } else {
                    output.send(v - 1).unwrap();
                }
            }
        }));
    }
    // After a turn of the token all goroutines wait for it.
    outputs[0].send(members).unwrap();
    finished.recv().unwrap();
    let clock = Clock::start();
    outputs[0].send(hops).unwrap();
    finished.recv().unwrap();
    clock.report(name, hops);
}

fn skynet_node(tx: FanIn<u64>, num: u64, size: u64) {
    if size == 1 {
        tx.send(num).unwrap();
        return;
    }
    let (child_tx, child_rx) = fan_in::<u64>(0);
    let sub = size / 10;
    for i in 0..10 {
        let tx = child_tx.clone();
        drop(spawn(move || skynet_node(tx, num + i * sub, sub)));
    }
    let sum = (0..10).map(|_| child_rx.recv().unwrap()).sum();
    tx.send(sum).unwrap();
}

fn skynet(name: &str, leaves: usize) {
    let (tx, rx) = fan_in::<u64>(0);
    let clock = Clock::start();
    drop(spawn(move || skynet_node(tx, 0, leaves as u64)));
    let sum = rx.recv().unwrap();
    check(sum == sum_to(leaves), "skynet sum");
    clock.report(name, leaves);
}

fn sieve(count: usize) {
    let clock = Clock::start();
    let (tx, mut rx) = fan_in::<u64>(0);
    drop(spawn(move || {
        for i in 2.. {
            if tx.send(i).is_err() {
                break;
            }
        }
    }));
    let mut last = 0;
    for _ in 0..count {
        let prime = rx.recv().unwrap();
        last = prime;
        let (next_tx, next_rx) = fan_in::<u64>(0);
        let input = std::mem::replace(&mut rx, next_rx);
        drop(spawn(move || {
            while let Ok(v) = input.recv() {
                if v % prime != 0 && next_tx.send(v).is_err() {
                    break;
                }
            }
        }));
    }
    check(count != 1500 || last == 12553, "sieve last prime");
    clock.report("sieve", count);
}

fn timers(count: usize) {
    let sleepers = count / 10;
    let clock = Clock::start();
    all(sleepers, |i| {
        let mut seed = i as u64;
        move || {
            for _ in 0..10 {
                sleep(Duration::from_millis(1 + rng_next(&mut seed) % 50));
            }
        }
    });
    clock.report("timers", sleepers * 10);
}

fn pool(jobs: usize) {
    let expected = (1..=jobs as u64).fold(0_u64, |sum, job| sum.wrapping_add(spin(job)));
    let (tx, rx) = bounded::<u64>(0);
    let clock = Clock::start();
    let workers = [(); 4].map(|()| {
        let rx = rx.clone();
        spawn(move || {
            let mut sum = 0_u64;
            while let Ok(job) = rx.recv() {
                sum = sum.wrapping_add(spin(job));
            }
            sum
        })
    });
    for job in 1..=jobs as u64 {
        tx.send(job).unwrap();
    }
    drop(tx);
    let parts = workers.map(|worker| worker.join().unwrap());
    let sum = parts.into_iter().fold(0, u64::wrapping_add);
    check(sum == expected, "pool sum");
    clock.report("pool", jobs);
}

/// Runs the workload that the command line names: `WORKLOAD COUNT`.
pub fn run() {
    let (name, count) = arguments();
    match name.as_str() {
        "spawn_join" => spawn_join(count),
        "yield1" => yield1(count),
        "yield1000" => yield1000(count),
        "pingpong" => pingpong(&name, count, false),
        "pingpong_local" => pingpong(&name, count, true),
        "spsc128" => spsc(count),
        "mpmc128" => mpmc(&name, 128, count),
        "mpmc0" => mpmc(&name, 0, count),
        "select3" => select3(count),
        "mutex8" => mutex8(count),
        "ring" => ring(&name, 1_000, count),
        "ring100k" => ring(&name, 100_000, count),
        "skynet" | "skynet10k" => skynet(&name, count),
        "sieve" => sieve(count),
        "timers" => timers(count),
        "pool" => pool(count),
        _ => check(false, "no such workload"),
    }
}
