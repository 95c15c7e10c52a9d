//! Recorded frames as text.
//!
//! Recording takes a lock of std's, which a lookup of names keeps for up to a second. So one
//! request is recorded and looked up at a time ([`record`]): a worker that records for a request
//! does not wait for the lookups of another. A goroutine that asks waits parked meanwhile.

use std::backtrace::Backtrace;
use std::collections::HashMap;
use std::fmt;
#[cfg(target_os = "linux")]
use std::sync::{Arc, Mutex};
#[cfg(target_os = "linux")]
use std::thread;

#[cfg(target_os = "linux")]
use crate::channel::bounded;
#[cfg(target_os = "linux")]
use crate::primitives::mutex::lock;
#[cfg(target_os = "linux")]
use crate::primitives::uncaptured;
use crate::sched::Runtime;
#[cfg(target_os = "linux")]
use crate::sched::{self, Worker};
#[cfg(target_os = "linux")]
use crate::wait::{self, WaitReason, Why};

/// A call that a waiting goroutine is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    function: String,
    location: Option<String>,
}

impl Frame {
    /// The function's path, such as `app::printer::run`.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.function
    }

    /// The file, line and column of the call, such as `src/printer.rs:14:5`; `None` if the program
    /// has no line tables.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match &self.location {
            Some(location) => write!(f, "\n\t{location}"),
            None => Ok(()),
        }
    }
}

/// Returns the frames of goroutines, each given by its worker's index and its number, by their
/// numbers; see [`sched::frames::record`] on which are missing.
#[cfg(target_os = "linux")]
pub(super) fn record(
    runtime: &'static Runtime,
    goroutines: Vec<(usize, usize)>,
) -> HashMap<usize, Vec<Frame>> {
    if goroutines.is_empty() {
        return HashMap::new();
    }
    let goroutines = Arc::new(goroutines);
    if Worker::current().is_some_and(Worker::may_park) && !thread::panicking() {
        let (report, found) = bounded(1);
        let theirs = Arc::clone(&goroutines);
        let look_up = move || drop(report.send(record_here(runtime, &theirs)));
        let builder = thread::Builder::new().name("go-dump".into());
        let why = Why::alone(WaitReason::Blocking);
        if uncaptured::spawn(builder, look_up).is_ok()
            && let Ok(found) = wait::named(why, || found.recv())
        {
            return found;
        }
    }
    record_here(runtime, &goroutines)
}

/// Returns no frames: on this system they are not recorded.
#[cfg(not(target_os = "linux"))]
pub(super) fn record(_: &'static Runtime, _: Vec<(usize, usize)>) -> HashMap<usize, Vec<Frame>> {
    HashMap::new()
}

/// Does what [`record`] does, and blocks the calling thread meanwhile.
#[cfg(target_os = "linux")]
fn record_here(
    runtime: &'static Runtime,
    goroutines: &[(usize, usize)],
) -> HashMap<usize, Vec<Frame>> {
    /// Held while a request is recorded and looked up; never by a goroutine that parks meanwhile.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = lock(&ALONE);
    let recorded = sched::frames::record(runtime, goroutines.iter().copied());
    recorded
        .into_iter()
        .map(|(number, backtrace)| (number, of_program(&backtrace)))
        .collect()
}

/// Returns the frames from the program's innermost call out, without those of the runtime and of
/// std below and above them. This takes a while, since it looks up the names.
fn of_program(backtrace: &Backtrace) -> Vec<Frame> {
    let mut frames = parse(&backtrace.to_string());
    // The goroutine's entry is the outermost frame of a job; farther out is its worker's loop.
    let is_job = |frame: &Frame| {
        frame.function.contains("go_runtime::goroutine::job::")
            || frame.is_in(|file| file.contains(SOURCES) && file.contains("/goroutine/job.rs:"))
    };
    if let Some(entry) = frames.iter().rposition(is_job) {
        frames.truncate(entry);
    }
    while frames.last().is_some_and(Frame::is_glue) {
        frames.pop();
    }
    let first = frames.iter().position(|frame| !frame.is_glue());
    frames.drain(..first.unwrap_or(frames.len()));
    frames
}

/// The folder of the runtime's sources, as the compiler has named it.
pub(super) const SOURCES: &str = {
    let (this, name) = (file!(), "debug/frames.rs");
    this.split_at(this.len() - name.len()).0
};

impl Frame {
    fn is_in(&self, is_it: impl FnOnce(&str) -> bool) -> bool {
        self.location.as_deref().is_some_and(is_it)
    }

    /// Returns whether the function is the runtime's, or std's. (A function that is inlined has no
    /// path in its name.)
    fn is_glue(&self) -> bool {
        let path = self.function.trim_start_matches(['<', '&']);
        let starts = ["go_runtime::", "core::", "std::", "alloc::", "__rust"];
        starts.iter().any(|start| path.starts_with(start))
            || self.is_in(|file| file.contains(SOURCES) || file.starts_with("/rustc/"))
    }
}

/// Parses std's text: a line with a number and a function for each frame, and where a line is known
/// another with ` at ` and the place.
fn parse(text: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if let Some(place) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                frame.location = Some(place.to_owned());
            }
        } else if let Some((number, function)) = line.split_once(": ")
            && number.parse::<u32>().is_ok()
        {
            frames.push(Frame {
                function: as_written(function),
                location: None,
            });
        }
    }
    frames
}

/// Returns the function's path as the program has it: `#[main]` puts the body of `main` into a
/// function `__go_main` within `main`.
fn as_written(function: &str) -> String {
    let function = function.replace("main::__go_main", "main");
    function.replace("__go_main", "main")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_parsed() {
        let frames = parse(
            "   0: app::wait\n             at ./src/main.rs:7:5\n   1: app::main::{{closure}}\n",
        );
        let as_text: Vec<_> = frames.iter().map(Frame::to_string).collect();
        assert_eq!(
            as_text,
            ["app::wait\n\t./src/main.rs:7:5", "app::main::{{closure}}"]
        );
    }

    #[test]
    fn the_body_of_main_is_main() {
        for (function, written) in [
            ("app::main::__go_main", "app::main"),
            (
                "app::main::__go_main::{{closure}}",
                "app::main::{{closure}}",
            ),
            ("__go_main", "main"),
        ] {
            assert_eq!(as_written(function), written);
        }
    }
}
