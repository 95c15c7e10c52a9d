//! Detects growth of the process: it compares the minimum use of memory in an early and in a late
//! stretch of time.

use std::time::Duration;

use super::process::Process;

const MINUTE: Duration = Duration::from_secs(60);
/// Growth that may occur by chance: kilobytes, and mappings.
const SLACK: (usize, usize) = (32 << 10, 256);
/// Minimum duration of a run: in a shorter one a stretch is too short to be meaningful.
const LEAST: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Growth {
    total: Duration,
    stretch: Duration,
    /// The minimum of the resident memory and of the number of mappings in each stretch.
    least: Vec<Option<(usize, usize)>>,
}

impl Growth {
    /// Divides the run into minutes, or a run of less than three minutes into tenths.
    pub(super) fn new(total: Duration) -> Growth {
        let stretch = if total < 3 * MINUTE {
            total / 10
        } else {
            MINUTE
        };
        // The last stretch, if it is incomplete, is not used.
        let count = total.as_millis() / stretch.as_millis().max(1);
        Growth {
            total,
            stretch,
            least: vec![None; count as usize],
        }
    }

    pub(super) fn note(&mut self, elapsed: Duration, process: &Process) {
        let index = elapsed.as_millis() / self.stretch.as_millis().max(1);
        if let Some(least) = self.least.get_mut(index as usize) {
            let now = (process.resident, process.mappings);
            let old = least.get_or_insert(now);
            *old = (old.0.min(now.0), old.1.min(now.1));
        }
    }

    /// Compares the second stretch with the last one. The first stretch does not count, because the
    /// process grows to its usual size in it.
    pub(super) fn close(&self) -> Result<String, String> {
        let [_, Some(early), .., Some(late)] = self.least[..] else {
            return Ok("too short to see growth".into());
        };
        let said = format!(
            "least resident memory {} MiB in the second stretch of {:.0?}, {} in the last; \
             mappings {} and {}",
            early.0 >> 10,
            self.stretch,
            late.0 >> 10,
            early.1,
            late.1
        );
        let grown = |early: usize, late: usize, slack| late > early + early / 10 + slack;
        if self.total >= LEAST
            && (grown(early.0, late.0, SLACK.0) || grown(early.1, late.1, SLACK.1))
        {
            return Err(format!("it has grown: {said}"));
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(seconds: u64, resident: impl Fn(u64) -> usize) -> Result<String, String> {
        let mut growth = Growth::new(Duration::from_secs(seconds));
        for second in 0..=seconds {
            let process = Process {
                resident: resident(second),
                ..Process::default()
            };
            growth.note(Duration::from_secs(second), &process);
        }
        growth.close()
    }

    #[test]
    fn growth_is_seen_and_noise_is_not() {
        let gigabyte = 1 << 20;
        assert!(over(100, |_| gigabyte).is_ok());
        // The first stretch does not count, nor does the end of the run.
        assert!(over(100, |second| if second < 10 { 0 } else { gigabyte }).is_ok());
        assert!(over(230, |second| gigabyte << (second / 180)).is_ok());
        // A peak is no growth, but a rising minimum is.
        assert!(over(200, |second| gigabyte << (second % 2)).is_ok());
        assert!(over(100, |second| gigabyte + (second as usize) * 2_000).is_err());
        assert!(over(240, |second| gigabyte + (second as usize) * 2_000).is_err());
    }
}
