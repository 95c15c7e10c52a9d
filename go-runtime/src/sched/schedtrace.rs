//! `GODEBUG=schedtrace=N`: a line about the scheduler on standard error, every N milliseconds.
//!
//! A thread of its own writes the lines, and not the monitor: standard error may be a pipe that is
//! full because no process reads it, and the monitor has to go on. Nor does the monitor's sleep
//! matter to the lines. While a write blocks, lines are left out.

use std::fmt::Write as _;
#[cfg(unix)]
use std::fs::File;
use std::io::{self, Write as _};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use super::metrics::{self, Figures};
use super::runtime::Runtime;
use super::silence;
use crate::clock;
use crate::primitives::atomic::{AtomicBool, Ordering};
use crate::primitives::uncaptured;

/// Whether the thread exists.
static RUNS: AtomicBool = AtomicBool::new(false);

/// Starts the thread, if the settings ask for it.
#[cold]
#[inline(never)]
pub(super) fn start(runtime: &'static Runtime) {
    let Some(every) = runtime.debug().schedtrace else {
        return;
    };
    let builder = thread::Builder::new().name("go-schedtrace".into());
    // Set before the thread runs: it counts itself.
    RUNS.store(true, Ordering::SeqCst);
    if let Err(error) = uncaptured::spawn(builder, move || run(runtime, every)) {
        RUNS.store(false, Ordering::SeqCst);
        let _ = writeln!(
            io::stderr(),
            "go-runtime: there is no schedtrace, because its thread cannot be made ({error})"
        );
    }
}

/// Returns how many threads this module has.
pub(super) fn threads() -> usize {
    usize::from(RUNS.load(Ordering::SeqCst))
}

fn run(runtime: &'static Runtime, every: Duration) {
    let start = clock::now();
    let mut due = start;
    loop {
        let now = clock::now();
        let line = line(
            now - start,
            &metrics::read(runtime),
            silence::all_threads(runtime),
        );
        // If standard error is closed, the line is lost.
        let _ = write(&line);
        due = next(due, clock::now(), every);
        thread::sleep(due.saturating_duration_since(clock::now()));
    }
}

/// Returns when the line is due that follows the one that was due at `last`; it lies behind `now`.
fn next(last: Instant, now: Instant, every: Duration) -> Instant {
    let next = last + every;
    if next > now { next } else { now + every }
}

/// Writes a line, in one piece as a rule.
#[cfg(unix)]
fn write(line: &str) -> io::Result<()> {
    // Not through std's `Stderr`, whose lock the program may hold, if there is another descriptor.
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(stderr) => File::from(stderr).write_all(line.as_bytes()),
        Err(_) => io::stderr().write_all(line.as_bytes()),
    }
}

#[cfg(not(unix))]
fn write(line: &str) -> io::Result<()> {
    io::stderr().write_all(line.as_bytes())
}

/// Returns the line, in the form of Go's.
fn line(passed: Duration, figures: &Figures, threads: usize) -> String {
    let &Figures {
        gomaxprocs,
        idle,
        searching,
        asleep,
        injected,
        unstarted,
        ..
    } = figures;
    let needs = usize::from(unstarted > 0 && idle > 0 && searching == 0);
    let mut line = format!(
        "SCHED {}ms: gomaxprocs={gomaxprocs} idleprocs={idle} threads={threads} \
         spinningthreads={searching} needspinning={needs} idlethreads={asleep} \
         runqueue={injected} [ ",
        passed.as_millis()
    );
    for worker in &figures.workers {
        let _ = write!(line, "{} ", worker.run_queue + worker.unstarted);
    }
    line += "] schedticks=[ ";
    for worker in &figures.workers {
        let _ = write!(line, "{} ", worker.turns);
    }
    line += "]\n";
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_a_full_pipe_has_held_up_are_left_out() {
        let start = clock::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let every = Duration::from_millis(100);
        assert_eq!(next(at(0), at(1), every), at(100));
        assert_eq!(next(at(100), at(101), every), at(200));
        assert_eq!(next(at(200), at(1050), every), at(1150));
    }
}
