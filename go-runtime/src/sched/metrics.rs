//! The scheduler's figures, as any thread may read them.
//!
//! Each figure is read at a moment of its own, while the workers go on.

use std::time::Duration;

use super::runtime::Runtime;
use super::shared::WorkerShared;
use super::tally::BUCKETS;

pub(crate) use super::tally::BOUNDS;

/// The figures of the scheduler.
pub(crate) struct Figures {
    /// Number of goroutines that live on workers or wait to be started, and of those that have ever
    /// been spawned.
    pub(crate) goroutines: usize,
    pub(crate) spawned: usize,
    /// Number of tasks that have not started.
    pub(crate) unstarted: usize,
    /// Number of unstarted tasks that are in no worker's queue.
    pub(crate) injected: usize,
    pub(crate) gomaxprocs: usize,
    /// Number of workers that sleep, and of those among them that accept goroutines.
    pub(crate) asleep: usize,
    pub(crate) idle: usize,
    /// Number of workers that search for work.
    pub(crate) searching: usize,
    /// Sampled latencies by bucket, and their sum.
    pub(crate) latencies: [u64; BUCKETS],
    pub(crate) latency_sum: Duration,
    pub(crate) workers: Vec<WorkerFigures>,
}

/// The figures of a worker.
pub(crate) struct WorkerFigures {
    pub(crate) retired: bool,
    /// Whether the worker runs a goroutine.
    pub(crate) runs: bool,
    pub(crate) run_queue: usize,
    /// Number of unstarted tasks in the worker's queues.
    pub(crate) unstarted: usize,
    /// Number of goroutines that have started here and have not ended.
    pub(crate) live: usize,
    pub(crate) turns: usize,
    /// Number of times that a goroutine has been put into the run queue.
    pub(crate) pushed: usize,
    pub(crate) steals: u64,
    pub(crate) wakeups: u64,
    pub(crate) age: Duration,
    pub(crate) busy: Duration,
    /// CPU time that the worker's thread has used; `None` if the system does not say.
    pub(crate) cpu: Option<Duration>,
}

/// Reads the figures.
pub(crate) fn read(runtime: &Runtime) -> Figures {
    let (mut latencies, mut latency_sum) = ([0; BUCKETS], Duration::ZERO);
    for worker in runtime.workers() {
        worker.tally.add_latencies(&mut latencies, &mut latency_sum);
    }
    let workers: Vec<_> = runtime.workers().map(read_worker).collect();
    let (goroutines, spawned) = (runtime.count(), runtime.spawned());
    let live = workers.iter().map(|worker| worker.live).sum();
    Figures {
        goroutines,
        spawned,
        // (A goroutine may have started between the two readings.)
        unstarted: goroutines.saturating_sub(live),
        injected: runtime.injector.len() + runtime.holding_sites.quarantined.len(),
        gomaxprocs: runtime.gomaxprocs(),
        asleep: runtime
            .workers()
            .filter(|worker| worker.sleep.is_asleep())
            .count(),
        idle: runtime.idle.sleepers(),
        searching: runtime.idle.searching(),
        latencies,
        latency_sum,
        workers,
    }
}

fn read_worker(worker: &WorkerShared) -> WorkerFigures {
    let stats = &worker.stats;
    WorkerFigures {
        retired: worker.sleep.is_retired(),
        runs: stats.running().is_some() && !worker.sleep.is_asleep(),
        run_queue: stats.run_queue.len_seen(),
        unstarted: worker.stealer.len() + worker.sent.len() + stats.pinned(),
        live: worker.load.live(),
        turns: stats.turn(),
        pushed: stats.run_queue.pushed(),
        steals: worker.tally.steals(),
        wakeups: worker.tally.wakeups(),
        age: worker.tally.age(),
        busy: worker.tally.busy(),
        cpu: worker.computed(),
    }
}
