//! Metrics in Prometheus's text format: each with a line of help, a line with its type, and its
//! values. The format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::{self, Display};
use std::time::Duration;

use super::metrics::{Histogram, Metrics, WorkerMetrics};

/// Writes all metrics.
pub(super) fn write(metrics: &Metrics, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Metrics {
        goroutines,
        goroutines_runnable,
        goroutines_running,
        goroutines_waiting,
        goroutines_not_in_go,
        goroutines_created,
        gomaxprocs,
        threads,
        sched_latencies,
        mutex_wait,
        stacks_bytes,
        injector,
        workers,
        blocking,
    } = metrics;
    let mut text = Text(f);
    let gauges = [
        ("go_sched_goroutines", "Goroutines that live.", *goroutines),
        (
            "go_sched_goroutines_runnable",
            "Goroutines that are ready to run and do not run.",
            *goroutines_runnable,
        ),
        (
            "go_sched_goroutines_running",
            "Goroutines that run.",
            *goroutines_running,
        ),
        (
            "go_sched_goroutines_waiting",
            "Goroutines that wait.",
            *goroutines_waiting,
        ),
        (
            "go_sched_goroutines_not_in_go",
            "Goroutines for which another thread makes a blocking call.",
            *goroutines_not_in_go,
        ),
    ];
    for (name, help, value) in gauges {
        text.one(name, "gauge", help, value)?;
    }
    text.one(
        "go_sched_goroutines_created_total",
        "counter",
        "Goroutines that have been spawned.",
        goroutines_created,
    )?;
    text.one(
        "go_sched_gomaxprocs_threads",
        "gauge",
        "Workers that run goroutines.",
        gomaxprocs,
    )?;
    text.one(
        "go_sched_threads",
        "gauge",
        "Threads of the runtime.",
        threads,
    )?;
    text.histogram(
        "go_sched_latencies_seconds",
        "Time that goroutines are runnable before they run, sampled every 5 ms.",
        sched_latencies,
    )?;
    text.one(
        "go_sync_mutex_wait_seconds_total",
        "counter",
        "Time that goroutines and threads have waited for a Mutex or an RwLock.",
        seconds(*mutex_wait),
    )?;
    if let Some(bytes) = stacks_bytes {
        text.one(
            "go_memory_classes_heap_stacks_bytes",
            "gauge",
            "Address space of all stacks of goroutines; only touched pages take memory.",
            bytes,
        )?;
    }
    text.one(
        "go_sched_injector_goroutines",
        "gauge",
        "Goroutines that have not started and are in no worker's queue.",
        injector,
    )?;
    of_workers(&mut text, workers)?;
    text.begin(
        "go_blocking_threads",
        "gauge",
        "Threads for blocking calls.",
    )?;
    for (state, value) in [("busy", blocking.busy), ("idle", blocking.idle)] {
        text.value("go_blocking_threads", &[("state", &state)], value)?;
    }
    text.one(
        "go_blocking_queued_calls",
        "gauge",
        "Blocking calls for which there is no thread yet.",
        blocking.queued,
    )
}

fn of_workers(text: &mut Text<'_, '_>, workers: &[WorkerMetrics]) -> fmt::Result {
    text.workers(
        "go_worker_busy_seconds_total",
        "counter",
        "Time in which the worker has run goroutines, sampled every 5 ms.",
        workers,
        |worker| Some(seconds(worker.busy)),
    )?;
    text.workers(
        "go_worker_cpu_seconds_total",
        "counter",
        "CPU time that the worker's thread has used.",
        workers,
        |worker| worker.cpu.map(seconds),
    )?;
    text.workers(
        "go_worker_retired",
        "gauge",
        "Whether the worker accepts no new goroutines any more.",
        workers,
        |worker| Some(u8::from(worker.retired)),
    )?;
    text.workers(
        "go_worker_run_queue_goroutines",
        "gauge",
        "Goroutines in the worker's run queue.",
        workers,
        |worker| Some(worker.run_queue),
    )?;
    text.workers(
        "go_worker_unstarted_goroutines",
        "gauge",
        "Goroutines in the worker's queues that have not started.",
        workers,
        |worker| Some(worker.unstarted),
    )?;
    text.workers(
        "go_worker_live_goroutines",
        "gauge",
        "Goroutines that have started on the worker and have not ended.",
        workers,
        |worker| Some(worker.live),
    )?;
    text.workers(
        "go_worker_turns_total",
        "counter",
        "Searches of the worker's queues, most of which run a goroutine.",
        workers,
        |worker| Some(worker.turns),
    )?;
    text.workers(
        "go_worker_pushes_total",
        "counter",
        "Goroutines that were put into the worker's run queue.",
        workers,
        |worker| Some(worker.pushes),
    )?;
    text.workers(
        "go_worker_steals_total",
        "counter",
        "Searches in other queues that have found something to run.",
        workers,
        |worker| Some(worker.steals),
    )?;
    text.workers(
        "go_worker_wakeups_total",
        "counter",
        "Sleeps of the worker that another thread has ended.",
        workers,
        |worker| Some(worker.wakeups),
    )
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// The text, to which metrics are added. Names, labels and help have no characters that have to be
/// escaped.
struct Text<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Text<'_, '_> {
    fn begin(&mut self, name: &str, kind: &str, help: &str) -> fmt::Result {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}")
    }

    fn value(
        &mut self,
        name: &str,
        labels: &[(&str, &dyn Display)],
        value: impl Display,
    ) -> fmt::Result {
        self.0.write_str(name)?;
        for (index, (label, of)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            write!(self.0, "{before}{label}=\"{of}\"")?;
        }
        if !labels.is_empty() {
            self.0.write_str("}")?;
        }
        writeln!(self.0, " {value}")
    }

    /// Adds a metric with one value.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) -> fmt::Result {
        self.begin(name, kind, help)?;
        self.value(name, &[], value)
    }

    /// Adds a metric with a value for each worker that has one, if any has one.
    fn workers<T: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        workers: &[WorkerMetrics],
        value: impl Fn(&WorkerMetrics) -> Option<T>,
    ) -> fmt::Result {
        let mut has_begun = false;
        for (index, worker) in workers.iter().enumerate() {
            let Some(value) = value(worker) else {
                continue;
            };
            if !has_begun {
                self.begin(name, kind, help)?;
                has_begun = true;
            }
            self.value(name, &[("worker", &index)], value)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        self.begin(name, "histogram", help)?;
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        for (bound, count) in histogram.bounds.iter().zip(&histogram.counts) {
            below += count;
            self.value(&bucket, &[("le", &seconds(*bound))], below)?;
        }
        let count = histogram.count();
        self.value(&bucket, &[("le", &"+Inf")], count)?;
        self.value(&format!("{name}_sum"), &[], seconds(histogram.sum))?;
        self.value(&format!("{name}_count"), &[], count)
    }
}
