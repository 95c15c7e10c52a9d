//! Each measurement runs in a process of its own, so that none finds what another has left.

use std::collections::HashMap;
use std::env;
use std::process::Command;

use go_benches::peers::median;

use crate::workloads::enough;

/// Go's program sets as many.
pub(crate) const WORKERS: &str = "2";
/// The cost of a page is measured on as many pages at least.
const LEAST_PAGES: usize = 100_000;

/// What a child has measured.
pub(crate) struct Figures(HashMap<String, f64>);

impl Figures {
    pub(crate) fn get(&self, key: &str) -> f64 {
        self.0.get(key).copied().unwrap_or(f64::NAN)
    }

    /// Of each figure the median.
    pub(crate) fn medians(runs: &[Figures]) -> Option<Figures> {
        let all = |key: &String| runs.iter().map(|run| run.get(key)).collect();
        let keys = runs.first()?.0.keys();
        let medians = keys.filter_map(|key| Some((key.clone(), median(all(key))?)));
        Some(Figures(medians.collect()))
    }

    pub(crate) fn set(&mut self, key: &str, value: f64) {
        self.0.insert(key.into(), value);
    }

    pub(crate) fn each(&self, key: &str, n: usize) -> f64 {
        self.get(key) / n as f64
    }

    /// Bytes for each of `n`, from what the process had before and when all were blocked.
    pub(crate) fn bytes_each(&self, kind: &str, n: usize) -> f64 {
        let kb = |when| self.get(&format!("{kind}_{when}_kb"));
        (kb("blocked") - kb("before")) * 1024.0 / n as f64
    }

    pub(crate) fn total_mb(&self, when: &str) -> f64 {
        (self.get(&format!("rss_{when}_kb")) + self.get(&format!("pte_{when}_kb"))) / 1024.0
    }

    pub(crate) fn memory_returned(&self) -> String {
        let start = self.total_mb("before");
        let left = self.get("left_kb") / 1024.0;
        if left <= enough(start) {
            format!("{} ms", self.get("return_ms"))
        } else {
            format!("no: {:.1} MB over", left - start)
        }
    }
}

/// This program, to be told what to measure.
pub(crate) fn ours() -> Result<Command, String> {
    let mut command = Command::new(env::current_exe().map_err(|error| error.to_string())?);
    command.arg("child");
    Ok(command)
}

pub(crate) fn measure(mut command: Command, workload: &str, n: usize) -> Result<Figures, String> {
    command.args([workload, &n.to_string()]);
    let output = command
        .env("GOMAXPROCS", WORKERS)
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{workload} {n}: {}: {errors}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let pairs = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_string(), value.parse().ok()?))
    });
    Ok(Figures(pairs.collect()))
}

/// The time of a first touch, on as many pages as there are goroutines: a page that the system has had in use lately is cheaper.
pub(crate) fn touch(n: usize) -> Result<f64, String> {
    Ok(measure(ours()?, "touch", n.max(LEAST_PAGES))?.get("touch_ns"))
}
