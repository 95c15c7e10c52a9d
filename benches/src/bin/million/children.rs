//! Runs each measurement in a process of its own, so that no measurement is affected by what
//! another one has left behind.

use std::process::Command;

use go_benches::figures::{self, Figures};

use crate::workloads::enough;

/// Go's program sets the same number.
pub(crate) const WORKERS: &str = "2";
/// Minimum number of pages on which the cost of a page is measured.
const LEAST_PAGES: usize = 100_000;

pub(crate) fn each(figures: &Figures, key: &str, n: usize) -> f64 {
    figures.get(key) / n as f64
}

/// Returns the bytes that each of `n` goroutines takes, from the growth of the process until all
/// were blocked.
pub(crate) fn bytes_each(figures: &Figures, kind: &str, n: usize) -> f64 {
    let kb = |when| figures.get(&format!("{kind}_{when}_kb"));
    (kb("blocked") - kb("before")) * 1024.0 / n as f64
}

pub(crate) fn total_mb(figures: &Figures, when: &str) -> f64 {
    (figures.get(&format!("rss_{when}_kb")) + figures.get(&format!("pte_{when}_kb"))) / 1024.0
}

pub(crate) fn memory_returned(figures: &Figures) -> String {
    let start = total_mb(figures, "before");
    let left = figures.get("left_kb") / 1024.0;
    if left <= enough(start) {
        format!("{} ms", figures.get("return_ms"))
    } else {
        format!("no: {:.1} MB over", left - start)
    }
}

/// Returns a command that runs this program for one measurement.
pub(crate) fn ours() -> Result<Command, String> {
    figures::child()
}

pub(crate) fn measure(mut command: Command, workload: &str, n: usize) -> Result<Figures, String> {
    command.args([workload, &n.to_string()]);
    figures::measure(command.env("GOMAXPROCS", WORKERS))
        .map_err(|error| format!("{workload} {n}: {error}"))
}

/// Measures the time of the first touch of a page, on as many pages as there are goroutines: a page
/// that the system has had in use lately is cheaper.
pub(crate) fn touch(n: usize) -> Result<f64, String> {
    Ok(measure(ours()?, "touch", n.max(LEAST_PAGES))?.get("touch_ns"))
}
