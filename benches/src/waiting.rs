//! Waits, on a plain thread, until goroutines have reached some point.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::peers::read;

/// Pause between two checks where precision does not matter.
pub const POLL_INTERVAL: Duration = Duration::from_micros(200);

/// Waits until `count` returns `n` or more, and checks after each pause. Gives up if nothing
/// changes for 10 seconds: where there is no memory for more stacks, new goroutines wait for others
/// to end, and in these benchmarks no goroutine ends before the count is reached.
pub fn wait_for(count: impl Fn() -> u64, n: u64, pause: Duration) -> Result<(), String> {
    let (mut last, mut changed) = (0, Instant::now());
    loop {
        let count = count();
        if count >= n {
            return Ok(());
        }
        if count != last {
            (last, changed) = (count, Instant::now());
        } else if changed.elapsed() > Duration::from_secs(10) {
            return Err(format!("nothing goes on any more at {count} of {n}"));
        }
        thread::sleep(pause);
    }
}

/// Waits until all workers sleep at two checks in a row: then all goroutines are blocked.
pub fn wait_for_sleep() -> Result<(), String> {
    let mut checks = 0;
    for _ in 0..2000 {
        thread::sleep(Duration::from_millis(5));
        checks = if workers_sleep()? { checks + 1 } else { 0 };
        if checks == 2 {
            return Ok(());
        }
    }
    Err("the workers do not fall asleep".into())
}

fn workers_sleep() -> Result<bool, String> {
    let tasks = fs::read_dir("/proc/self/task").map_err(|error| error.to_string())?;
    for task in tasks.flatten() {
        // The format is "ID (NAME) STATE ..."; the name may itself contain blanks and brackets.
        let stat = read(&format!("{}/stat", task.path().display()))?;
        if let Some((name, rest)) = stat.rsplit_once(')')
            && name.contains("(go-worker")
            && !rest.trim_start().starts_with('S')
        {
            return Ok(false);
        }
    }
    Ok(true)
}
