//! The job of the queue.

use std::time::Duration;

use go_runtime::time::sleep;
use serde::{Deserialize, Serialize};

/// A job. Its effects would be keyed by its id, so that a second run changes nothing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: u64,
    /// How long the job takes, in milliseconds.
    pub(crate) work_ms: u64,
    /// Number of attempts that fail, from the first one on.
    pub(crate) failures: u64,
}

impl Job {
    /// Does the work, in ordinary code that may park.
    pub(crate) fn run(&self, attempt: u64) -> Result<(), &'static str> {
        sleep(Duration::from_millis(self.work_ms));
        if attempt <= self.failures {
            return Err("it was told to fail");
        }
        Ok(())
    }
}
