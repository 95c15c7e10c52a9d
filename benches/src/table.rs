//! The workloads of `compare`, in the order of its table.
//!
//! `CONTRIBUTING.md` says how to add a workload. The operation is the same for every peer, so a
//! slow peer may have a smaller count. A peer that lacks the workload stands in
//! [`Workload::count_for`].

/// A workload of `compare`.
pub struct Workload {
    pub name: &'static str,
    /// Number of operations of one run.
    pub count: usize,
    /// Number of operations of one run with plain threads, which are too slow for some counts.
    with_threads: usize,
}

impl Workload {
    /// Returns the number of operations of one run of the peer, or `None` if the peer lacks the
    /// workload.
    pub fn count_for(&self, peer: &str) -> Option<usize> {
        match (peer, self.name) {
            // may's channels are unbounded, and the generator sends as fast as it can.
            ("may", "sieve") => None,
            // Each goroutine would be a thread.
            ("threads", "skynet" | "ring100k") => None,
            ("threads", _) => Some(self.with_threads),
            _ => Some(self.count),
        }
    }
}

const fn row(name: &'static str, count: usize, with_threads: usize) -> Workload {
    Workload {
        name,
        count,
        with_threads,
    }
}

pub static TABLE: &[Workload] = &[
    row("spawn_join", 1_000_000, 20_000),
    row("yield1", 5_000_000, 5_000_000),
    row("yield1000", 5_000_000, 1_000_000),
    row("pingpong", 500_000, 25_000),
    // The peers run `pingpong`: only this runtime can put both ends on one worker.
    row("pingpong_local", 500_000, 25_000),
    row("spsc128", 5_000_000, 5_000_000),
    row("mpmc128", 2_000_000, 2_000_000),
    row("mpmc0", 1_000_000, 1_000_000),
    row("select3", 1_000_000, 100_000),
    row("mutex8", 4_000_000, 4_000_000),
    row("ring", 1_000_000, 100_000),
    row("ring100k", 1_000_000, 100_000),
    row("skynet", 1_000_000, 1_000_000),
    row("skynet10k", 10_000, 10_000),
    row("sieve", 1_500, 1_500),
    row("timers", 1_000_000, 1_000_000),
    row("pool", 50_000, 50_000),
];

/// Returns the workload of that name.
pub fn workload(name: &str) -> Result<&'static Workload, String> {
    let found = TABLE.iter().find(|workload| workload.name == name);
    found.ok_or_else(|| {
        let all: Vec<&str> = TABLE.iter().map(|workload| workload.name).collect();
        format!("no workload {name}; there are {}", all.join(", "))
    })
}
