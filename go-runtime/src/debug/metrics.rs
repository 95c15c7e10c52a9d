//! The runtime's figures as values, with Go's names where Go has one.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use super::prometheus;
use crate::sched::metrics::{self as figures, BOUNDS, Figures};
use crate::sched::{Runtime, global, silence};
use crate::wait::{lock_waits, threads};
use crate::{blocking, goroutine, stack};

/// The runtime's figures at a moment; [`metrics`] reads them.
///
/// Each figure is read at a moment of its own, so they need not add up exactly. Counters only grow,
/// from the start of the runtime on. Those that Go's `runtime/metrics` has too begin their
/// description with Go's name.
///
/// It displays in Prometheus's text format, as [`write_prometheus`](Metrics::write_prometheus)
/// writes it.
///
/// # What is sampled
///
/// No figure costs anything where goroutines switch, or where a lock is free:
///
/// - [`sched_latencies`](Metrics::sched_latencies) and [`WorkerMetrics::busy`] are sampled at the
///   ticks of the runtime's monitor, every 5 ms. The monitor sleeps while all workers do.
/// - [`mutex_wait`](Metrics::mutex_wait), steals and wake-ups are counted, where an operation is
///   slow already.
/// - All else is computed when it is asked for, from counters that the scheduler has anyway.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// `/sched/goroutines:goroutines`. Goroutines that live: started or not, with a thread of their
    /// own or without; [`num_goroutines`](crate::num_goroutines).
    pub goroutines: usize,
    /// `/sched/goroutines/runnable:goroutines`. Goroutines that are ready to run, or to start, and
    /// do not run. (A goroutine that another worker or a thread has just woken counts as waiting
    /// until its worker has noticed.)
    pub goroutines_runnable: usize,
    /// `/sched/goroutines/running:goroutines`. Goroutines that run, those with a thread of their
    /// own included. One that blocks its thread in the system runs, too, as far as the runtime
    /// knows.
    pub goroutines_running: usize,
    /// `/sched/goroutines/waiting:goroutines`. Goroutines that wait: for a channel, a lock, the
    /// clock, a socket.
    pub goroutines_waiting: usize,
    /// `/sched/goroutines/not-in-go:goroutines`. Goroutines whose call of
    /// [`blocking`](crate::blocking()), or whose use of a file, another thread makes for them, or
    /// is about to.
    pub goroutines_not_in_go: usize,
    /// `/sched/goroutines-created:goroutines`, a counter. Goroutines that have been spawned.
    pub goroutines_created: usize,
    /// `/sched/gomaxprocs:threads`. Workers that run goroutines.
    pub gomaxprocs: usize,
    /// `/sched/threads/total:threads`. Threads of the runtime: workers, the monitor, the pools' for
    /// blocking calls and for goroutines with a thread of their own, those for signals and for
    /// `GODEBUG=schedtrace`.
    pub threads: usize,
    /// `/sched/latencies:seconds`, a counter. How long goroutines are runnable before they run.
    ///
    /// Sampled: every 5 ms, for each worker that runs a goroutine, the runtime measures how long a
    /// goroutine waits that is put at the end of the worker's run queue at that moment; and in the
    /// same time at most once for each worker how long it takes a sleeping worker to wake up when
    /// another thread has something for it to run. So a sample stands for a share of the time, and
    /// not for a goroutine. A wait that lasts is sampled when it has ended. What a goroutine waits
    /// in the queues of those that have not started is not measured.
    pub sched_latencies: Histogram,
    /// `/sync/mutex/wait/total:seconds`, a counter. How long goroutines and threads have waited for
    /// a [`Mutex`](crate::sync::Mutex) or an [`RwLock`](crate::sync::RwLock). Every wait counts,
    /// from the moment at which the operation gives up spinning.
    pub mutex_wait: Duration,
    /// `/memory/classes/heap/stacks:bytes`. The size of all stacks that exist, in bytes, whether a
    /// goroutine uses them or not. It is address space: of each stack only the pages that have been
    /// touched take memory, 4 KiB at least. `None` on systems other than Linux.
    pub stacks_bytes: Option<usize>,
    /// Goroutines that have not started and are in no worker's queue. (They count as runnable.)
    pub injector: usize,
    /// The workers by their index, those included that the monitor has added.
    pub workers: Vec<WorkerMetrics>,
    /// The threads for blocking calls.
    pub blocking: BlockingMetrics,
}

/// The figures of a worker.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Whether the worker was added in place of one that a goroutine held, and accepts no new
    /// goroutines any more.
    pub retired: bool,
    /// How long the worker has existed.
    pub age: Duration,
    /// How long the worker has run goroutines. Sampled: a worker that runs a goroutine at a tick of
    /// the monitor, every 5 ms, counts as busy since the tick before. A goroutine that blocks its
    /// worker in the system keeps it busy.
    pub busy: Duration,
    /// CPU time that the worker's thread has used. `None` on systems other than Linux.
    pub cpu: Option<Duration>,
    /// Goroutines in the worker's run queue: they have started, and can go on.
    pub run_queue: usize,
    /// Goroutines in the worker's queues of those that have not started.
    pub unstarted: usize,
    /// Goroutines that have started here and have not ended.
    pub live: usize,
    /// A counter of turns: searches of the worker's queues, most of which run a goroutine.
    pub turns: usize,
    /// A counter of goroutines that were put into the run queue.
    pub pushes: usize,
    /// A counter of searches in other workers' queues, and in the common one, that have found
    /// something to run.
    pub steals: u64,
    /// A counter of the worker's sleeps that another thread has ended.
    pub wakeups: u64,
}

impl WorkerMetrics {
    /// Returns the share of the time since `earlier` in which the worker ran goroutines, from 0 to
    /// 1; since it was made, if `earlier` is `None`. It is [sampled](WorkerMetrics::busy), so it
    /// means something after some 0.1 s.
    ///
    /// ```
    /// use go_runtime::debug::metrics;
    ///
    /// # go_runtime::spawn(|| ()).join().unwrap();
    /// let before = metrics();
    /// // ...
    /// let now = metrics();
    /// for (index, worker) in now.workers.iter().enumerate() {
    ///     let share = worker.busy_share(before.workers.get(index));
    ///     println!("worker {index}: {:.0} %", share * 100.0);
    /// #   assert!((0.0..=1.0).contains(&share));
    /// }
    /// ```
    #[must_use]
    pub fn busy_share(&self, earlier: Option<&WorkerMetrics>) -> f64 {
        let (age, busy) = earlier.map_or_else(Default::default, |one| (one.age, one.busy));
        let (age, busy) = (self.age.saturating_sub(age), self.busy.saturating_sub(busy));
        if age.is_zero() {
            return 0.0;
        }
        (busy.as_secs_f64() / age.as_secs_f64()).min(1.0)
    }
}

/// The threads that run the calls of [`blocking`](crate::blocking()), of files and of name lookups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockingMetrics {
    /// Threads that run a call.
    pub busy: usize,
    /// Threads that have nothing to do; they end after two seconds.
    pub idle: usize,
    /// Calls for which there is no thread yet.
    pub queued: usize,
}

/// How often durations have lain between bounds.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Histogram {
    /// The upper bounds of the buckets, the least first. A bucket includes its bound.
    pub bounds: Vec<Duration>,
    /// The number of durations in each bucket: one more than bounds, because the last bucket has
    /// none.
    pub counts: Vec<u64>,
    /// The sum of the durations.
    pub sum: Duration,
}

impl Histogram {
    /// Returns the number of durations in all buckets.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the bound that no more than a share of `1 - q` of the durations exceeds, such as
    /// 0.99 for the 99th percentile. `None` if there are no durations, or if it lies above all
    /// bounds.
    ///
    /// # Panics
    /// If `q` is not from 0 to 1.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        assert!((0.0..=1.0).contains(&q), "{q} is no share");
        let all = self.count();
        let enough = (q * all as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let bucket = self.counts.iter().position(|count| {
            below += count;
            below >= enough
        });
        self.bounds.get(bucket?).copied()
    }
}

/// Reads the runtime's figures. That takes a system call for each worker, and the time to visit
/// each thread that waits in one of the runtime's calls. It does not start the runtime: before
/// that, all figures are 0.
///
/// ```
/// use go_runtime::debug::metrics;
///
/// go_runtime::spawn(|| ()).join().unwrap();
/// let metrics = metrics();
/// assert!(metrics.goroutines_created >= 1);
/// println!("{metrics}"); // for Prometheus
/// ```
#[doc(alias = "ReadMetrics")]
#[must_use]
pub fn metrics() -> Metrics {
    match global::running() {
        Some(runtime) => Metrics::read(runtime),
        None => Metrics::default(),
    }
}

impl Metrics {
    fn read(runtime: &Runtime) -> Metrics {
        let figures = figures::read(runtime);
        let (with_threads, spawned_with_threads) = goroutine::with_threads();
        let mut waiting_with_threads = 0;
        threads::for_each(|seen| {
            let waits = seen.goroutine.is_some() && seen.waiting.is_some();
            waiting_with_threads += usize::from(waits);
        });
        let waiting_with_threads = waiting_with_threads.min(with_threads);
        let running_with_threads = with_threads - waiting_with_threads;
        let pool = blocking::counts();
        let blocking = BlockingMetrics {
            busy: pool.threads.saturating_sub(pool.idle),
            idle: pool.idle,
            queued: pool.waiting,
        };

        // Of the goroutines that live on workers, those that are not seen elsewhere wait.
        let mut left = figures.goroutines;
        let mut take = |wanted: usize| {
            let taken = wanted.min(left);
            left -= taken;
            taken
        };
        let running = take(figures.workers.iter().filter(|worker| worker.runs).count());
        let queued: usize = figures.workers.iter().map(|worker| worker.run_queue).sum();
        let runnable = take(figures.unstarted + queued);
        let not_in_go = take(blocking.busy + blocking.queued);

        Metrics {
            goroutines: figures.goroutines + with_threads,
            goroutines_runnable: runnable,
            goroutines_running: running + running_with_threads,
            goroutines_waiting: left + waiting_with_threads,
            goroutines_not_in_go: not_in_go,
            goroutines_created: figures.spawned + spawned_with_threads,
            gomaxprocs: figures.gomaxprocs,
            threads: silence::all_threads(runtime) + signal_threads(),
            sched_latencies: latencies(&figures),
            mutex_wait: lock_waits(),
            stacks_bytes: stack::bytes(),
            injector: figures.injected,
            workers: figures.workers.into_iter().map(worker).collect(),
            blocking,
        }
    }

    /// Writes the figures in Prometheus's text format, version 0.0.4, whose content type is
    /// `text/plain; version=0.0.4`. Durations are in seconds. The figures of a worker have its
    /// index as the label `worker`.
    ///
    /// # Errors
    /// An error of the writer.
    ///
    /// ```
    /// let mut text = Vec::new();
    /// go_runtime::debug::metrics().write_prometheus(&mut text)?;
    /// assert!(text.starts_with(b"# HELP go_sched_goroutines "));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_prometheus(&self, writer: &mut dyn Write) -> io::Result<()> {
        write!(writer, "{self}")
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        prometheus::write(self, f)
    }
}

fn latencies(figures: &Figures) -> Histogram {
    Histogram {
        bounds: BOUNDS.map(Duration::from_nanos).to_vec(),
        counts: figures.latencies.to_vec(),
        sum: figures.latency_sum,
    }
}

fn worker(figures: figures::WorkerFigures) -> WorkerMetrics {
    WorkerMetrics {
        retired: figures.retired,
        age: figures.age,
        // (The worker may be younger than the interval between two ticks.)
        busy: figures.busy.min(figures.age),
        cpu: figures.cpu,
        run_queue: figures.run_queue,
        unstarted: figures.unstarted,
        live: figures.live,
        turns: figures.turns,
        pushes: figures.pushed,
        steals: figures.steals,
        wakeups: figures.wakeups,
    }
}

/// Returns the number of threads that wait for signals, where the system says.
fn signal_threads() -> usize {
    #[cfg(target_os = "linux")]
    return crate::signal::threads();
    #[cfg(not(target_os = "linux"))]
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let ms = Duration::from_millis;
        let mut histogram = Histogram {
            bounds: vec![ms(1), ms(2), ms(3)],
            counts: vec![0, 0, 0, 0],
            sum: Duration::ZERO,
        };
        assert_eq!(histogram.quantile(0.5), None);
        histogram.counts = vec![50, 40, 9, 1];
        let quantiles = [0.0, 0.5, 0.51, 0.9, 0.99, 1.0].map(|q| histogram.quantile(q));
        let expected = [
            Some(ms(1)),
            Some(ms(1)),
            Some(ms(2)),
            Some(ms(2)),
            Some(ms(3)),
            None,
        ];
        assert_eq!(quantiles, expected);
    }

    #[test]
    fn busy_shares() {
        let of = |age, busy| WorkerMetrics {
            age: Duration::from_secs(age),
            busy: Duration::from_secs(busy),
            ..WorkerMetrics::default()
        };
        assert_eq!(of(10, 5).busy_share(None), 0.5);
        assert_eq!(of(10, 5).busy_share(Some(&of(6, 4))), 0.25);
        assert_eq!(of(0, 0).busy_share(None), 0.0);
        assert_eq!(of(6, 4).busy_share(Some(&of(6, 4))), 0.0);
    }
}
