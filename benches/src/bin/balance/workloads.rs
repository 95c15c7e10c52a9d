//! What is spread, each in a process of its own. The result goes out as lines "key value".

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use go_benches::{Clock, SPIN_K, check, pool_serial, rng_next, spin, sum_to, tally};
use go_runtime::channel::{Sender, bounded};
use go_runtime::sync::WaitGroup;
use go_runtime::{Builder, go, gomaxprocs};

const JOBS: usize = 10_000;
const LEAVES: u64 = 100_000;
const PAIRS: usize = 1_000;
const ROUND_TRIPS: usize = 500;
/// As many children of the tree's root; of the other nodes one in `ONE_IN` has `CHILDREN`, so that
/// the tree is finite, and very uneven.
const ROOTS: u64 = 2_000;
const CHILDREN: u64 = 8;
const ONE_IN: f64 = 8.2;
const SEED: u64 = 7;
/// A node takes a few microseconds.
const NODE_SPIN: usize = 2_000;

/// What the others are compared with.
pub(crate) const THREADS: &str = "threads";

pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// The same work on one thread, for the clock and for the result, where there is such a thing.
    serial: Option<fn() -> u64>,
    /// Called on a plain thread.
    run: fn() -> Result<u64, String>,
}

pub(crate) static WORKLOADS: [Workload; 8] = [
    Workload {
        name: THREADS,
        what: "the pool on GOMAXPROCS plain threads: what the machine loses",
        serial: Some(serial_pool),
        run: || Ok(threads()),
    },
    Workload {
        name: "pool",
        what: "main starts two goroutines for each worker and feeds them jobs of some 20 µs \
               through one unbuffered channel",
        serial: Some(serial_pool),
        run: || in_main(pool),
    },
    Workload {
        name: "pool_tight",
        what: "the same with one goroutine for each worker, so that main has none for itself",
        serial: Some(serial_pool),
        run: || in_main(|| pool_of(gomaxprocs())),
    },
    Workload {
        name: "pool_go",
        what: "as pool, started and fed by another goroutine, for which main waits",
        serial: Some(serial_pool),
        run: || in_main(|| go!(pool()).join().unwrap()),
    },
    Workload {
        name: "pool_thread",
        what: "as pool, started and fed by a plain thread",
        serial: Some(serial_pool),
        run: || Ok(pool()),
    },
    Workload {
        name: "tree",
        what: "search of an uneven tree, a goroutine and a few µs a node",
        serial: Some(serial_tree),
        run: || in_main(tree),
    },
    Workload {
        name: "skynet",
        what: "a tree of 100,000 leaves, ten children a node, a goroutine each",
        serial: None,
        run: || in_main(skynet),
    },
    Workload {
        name: "pairs",
        what: "1,000 pairs of goroutines, which talk over unbuffered channels",
        serial: None,
        run: || in_main(pairs),
    },
];

pub(crate) fn find(name: &str) -> Result<&'static Workload, String> {
    let found = WORKLOADS.iter().find(|workload| workload.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
        format!("no workload {name}; there are {}", names.join(", "))
    })
}

pub(crate) fn measure(name: &str) -> Result<(), String> {
    let workload = find(name)?;
    let serial = workload.serial.map(|serial| {
        let clock = Clock::start();
        let result = serial();
        println!("serial_ns {}", clock.t.elapsed().as_nanos());
        println!("serial_cpu_ns {}", clock.cpu_ns());
        result
    });
    // The workers are there, as they are in a program that has run for a while.
    go!({}).join().map_err(|_| "a panic")?;
    let clock = Clock::start();
    let result = (workload.run)()?;
    println!("ns {}", clock.t.elapsed().as_nanos());
    println!("cpu_ns {}", clock.cpu_ns());
    if let Some(serial) = serial {
        check(result == serial, "the result is not the serial one");
    }
    for (i, work) in tally::each().enumerate() {
        println!("work_{i} {work}");
    }
    Ok(())
}

/// On a goroutine such as `#[go_runtime::main]` makes.
fn in_main(work: fn() -> u64) -> Result<u64, String> {
    let main = Builder::new().name("main").stack_size(8 << 20).spawn(work);
    let main = main.map_err(|error| error.to_string())?;
    main.join().map_err(|_| "a panic".into())
}

fn serial_pool() -> u64 {
    pool_serial(JOBS).0
}

fn threads() -> u64 {
    let next = AtomicU64::new(1);
    let jobs = || {
        let mut sum = 0_u64;
        loop {
            let job = next.fetch_add(1, Relaxed);
            if job > JOBS as u64 {
                return sum;
            }
            sum = sum.wrapping_add(spin(job, SPIN_K));
            tally::add(1);
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..gomaxprocs()).map(|_| scope.spawn(jobs)).collect();
        let sums = threads.into_iter().map(|thread| thread.join().unwrap());
        sums.fold(0, u64::wrapping_add)
    })
}

fn pool() -> u64 {
    pool_of(2 * gomaxprocs())
}

fn pool_of(goroutines: usize) -> u64 {
    let (tx, rx) = bounded::<u64>(0);
    let workers: Vec<_> = (0..goroutines)
        .map(|_| {
            go!(clone(rx) {
                rx.iter().fold(0_u64, |sum, job| {
                    tally::add(1);
                    sum.wrapping_add(spin(job, SPIN_K))
                })
            })
        })
        .collect();
    drop(rx);
    for job in 1..=JOBS as u64 {
        tx.send(job).unwrap();
    }
    drop(tx);
    let sums = workers.into_iter().map(|worker| worker.join().unwrap());
    sums.fold(0, u64::wrapping_add)
}

/// The seeds of a node's children, from its own.
fn children(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    let has_some = (rng_next(&mut state) >> 11) as f64 * ONE_IN < (1_u64 << 53) as f64;
    let count = if has_some { CHILDREN } else { 0 };
    (0..count).map(move |_| rng_next(&mut state))
}

fn roots() -> impl Iterator<Item = u64> {
    let mut state = SEED;
    (0..ROOTS).map(move |_| rng_next(&mut state))
}

fn visit(seed: u64) -> u64 {
    spin(seed | 1, NODE_SPIN)
}

fn serial_tree() -> u64 {
    let (mut stack, mut sum) = (roots().collect::<Vec<u64>>(), 0_u64);
    while let Some(seed) = stack.pop() {
        sum = sum.wrapping_add(visit(seed));
        stack.extend(children(seed));
    }
    sum
}

struct Search {
    sum: AtomicU64,
    group: WaitGroup,
}

fn tree() -> u64 {
    let search = Arc::new(Search {
        sum: AtomicU64::new(0),
        group: WaitGroup::new(),
    });
    roots().for_each(|seed| search_from(&search, seed));
    search.group.wait();
    search.sum.load(Relaxed)
}

fn search_from(search: &Arc<Search>, seed: u64) {
    search.group.add(1);
    go!(search_node(search.clone(), seed));
}

fn search_node(search: Arc<Search>, seed: u64) {
    tally::add(1);
    search.sum.fetch_add(visit(seed), Relaxed);
    children(seed).for_each(|seed| search_from(&search, seed));
    search.group.done();
}

fn skynet() -> u64 {
    let (tx, rx) = bounded::<u64>(0);
    go!(skynet_node(tx, 0, LEAVES));
    let sum = rx.recv().unwrap();
    check(sum == sum_to(LEAVES as usize), "skynet sum");
    sum
}

fn skynet_node(tx: Sender<u64>, number: u64, leaves: u64) {
    tally::add(1);
    if leaves == 1 {
        tx.send(number).unwrap();
        return;
    }
    let (child, sums) = bounded::<u64>(0);
    let part = leaves / 10;
    for i in 0..10 {
        let child = child.clone();
        go!(skynet_node(child, number + i * part, part));
    }
    tx.send((0..10).map(|_| sums.recv().unwrap()).sum())
        .unwrap();
}

fn pairs() -> u64 {
    let group = WaitGroup::new();
    group.add(PAIRS);
    for _ in 0..PAIRS {
        let (ping, pings) = bounded::<()>(0);
        let (pong, pongs) = bounded::<()>(0);
        go!({
            for () in pings {
                tally::add(1);
                pong.send(()).unwrap();
            }
        });
        go!(clone(group) {
            for _ in 0..ROUND_TRIPS {
                ping.send(()).unwrap();
                pongs.recv().unwrap();
                tally::add(1);
            }
            group.done();
        });
    }
    group.wait();
    (PAIRS * ROUND_TRIPS) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_finite_and_uneven() {
        let sizes = roots().map(|root| {
            let (mut stack, mut size) = (vec![root], 0);
            while let Some(seed) = stack.pop() {
                size += 1;
                stack.extend(children(seed));
            }
            size
        });
        let mut sizes: Vec<usize> = sizes.collect();
        sizes.sort_unstable();
        let total: usize = sizes.iter().sum();
        assert!((10_000..100_000).contains(&total), "{total} nodes");
        // Most are leaves, and the largest holds a good part of all.
        assert_eq!(sizes[sizes.len() / 2], 1);
        assert!(sizes[sizes.len() - 1] > total / 10, "{sizes:?}");
    }
}
