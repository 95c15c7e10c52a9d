//! The workloads of `compare`, in the order of its table.
//!
//! # Adding a workload
//!
//! 1. A line in [`TABLE`] below: its name, its count of operations, and the peers that lack it.
//! 2. One function in `src/blocking.rs`, which serves this runtime, may and plain threads, and its
//!    name in `run` at the end of that file. (What differs between the three stands in the module
//!    `rt` of `src/bin/ours.rs`, `peers/src/bin/may.rs` and `peers/src/bin/threads.rs`.)
//! 3. One function in `peers/src/bin/tokio.rs` and one in `go/main.go`, each with its name at the
//!    end.
//!
//! A peer that lacks the workload needs no function: name the peer in `without`. Each function
//! takes the count, does the same work, checks the result, and reports nanoseconds per operation.
//! The operation is the same for every peer, so a slow peer may have a smaller count.

/// A workload of `compare`.
pub struct Workload {
    pub name: &'static str,
    /// Number of operations of one run.
    pub count: usize,
    /// Number of operations of one run with plain threads, which are too slow for some counts.
    pub with_threads: usize,
    /// The peers that lack the workload.
    pub without: &'static [&'static str],
    /// Peers, and for each the maximum ratio of our time to its time.
    pub goals: &'static [(&'static str, f64)],
}

type Names = &'static [&'static str];
type Goals = &'static [(&'static str, f64)];

const fn row(name: &'static str, count: usize, without: Names, goals: Goals) -> Workload {
    Workload {
        name,
        count,
        with_threads: count,
        without,
        goals,
    }
}

const fn fewer(workload: Workload, with_threads: usize) -> Workload {
    Workload {
        with_threads,
        ..workload
    }
}

pub static TABLE: &[Workload] = &[
    fewer(row("spawn_join", 1_000_000, &[], &[("go", 0.5)]), 20_000),
    fewer(row("spawn_small", 100_000, &[], &[("go", 0.5)]), 10_000),
    row("yield1", 5_000_000, &[], &[("may", 0.3)]),
    fewer(row("yield1000", 5_000_000, &[], &[("may", 0.5)]), 1_000_000),
    fewer(row("pingpong", 500_000, &[], &[("go", 0.8)]), 25_000),
    // The peers run `pingpong`: only this runtime can put both ends on one worker.
    fewer(row("pingpong_local", 500_000, &[], &[("go", 0.25)]), 25_000),
    row("spsc128", 5_000_000, &[], &[("go", 0.5), ("tokio", 1.0)]),
    row("mpmc128", 2_000_000, &[], &[("tokio", 1.0)]),
    row("mpmc0", 1_000_000, &[], &[("tokio", 0.8)]),
    fewer(row("select3", 1_000_000, &[], &[("go", 0.5)]), 100_000),
    row("mutex8", 4_000_000, &[], &[("go", 1.0)]),
    fewer(row("ring", 1_000_000, &[], &[("tokio", 0.6)]), 100_000),
    row("skynet", 1_000_000, &["threads"], &[("go", 0.7)]),
    row("skynet10k", 10_000, &[], &[("tokio", 0.8)]),
    // may's channels are unbounded, and the generator sends as fast as it can.
    row("sieve", 1_500, &["may"], &[("tokio", 0.8)]),
    row("parked16k", 16_000, &[], &[]),
    row("wake16k", 16_000, &[], &[]),
    row("timers", 1_000_000, &[], &[("tokio", 0.7)]),
    row("timers20k", 200_000, &[], &[]),
    row("pool", 50_000, &[], &[]),
];

/// Returns the workload of that name.
pub fn workload(name: &str) -> Result<&'static Workload, String> {
    let names = || TABLE.iter().map(|workload| workload.name);
    let found = TABLE.iter().find(|workload| workload.name == name);
    found.ok_or_else(|| {
        let all: Vec<&str> = names().collect();
        format!("no workload {name}; there are {}", all.join(", "))
    })
}
