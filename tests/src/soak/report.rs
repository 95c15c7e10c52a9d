//! Progress reports for people.

use std::fmt::Write;
use std::time::Duration;

use super::counts::{Counts, KINDS};
use super::process::Process;
use super::world::World;

/// The counts of the last report, to which the next report compares.
#[derive(Default)]
pub(super) struct Report {
    told: [u64; KINDS.len()],
    at: Duration,
}

impl Report {
    pub(super) fn line(&mut self, elapsed: Duration, world: &World, process: &Process) -> String {
        let operations = world.counts.operations();
        let seconds = (elapsed - self.at).as_secs_f64().max(0.001);
        let mut line = format!("{:6.0} s: {}", elapsed.as_secs_f64(), state(world, process));
        line.push_str("; per second");
        for ((kind, _), (now, told)) in KINDS.iter().zip(operations.iter().zip(self.told)) {
            let rate = (now - told) as f64 / seconds;
            write!(line, " {kind:?} {rate:.0}").expect("a string takes all");
        }
        (self.told, self.at) = (operations, elapsed);
        line
    }
}

pub(super) fn state(world: &World, process: &Process) -> String {
    let counts: &Counts = &world.counts;
    format!(
        "live {}, in the lobby {}, resident {} MiB, page tables {} MiB, mappings {}, threads {}",
        counts.live(),
        world.lobby.len(),
        process.resident >> 10,
        process.page_tables >> 10,
        process.mappings,
        process.threads
    )
}
