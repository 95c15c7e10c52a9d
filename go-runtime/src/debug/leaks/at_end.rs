//! `GODEBUG=leaks=1`: what is left at the end of the program.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{Leak, leaks};
use crate::debug::goroutine::{self, Goroutine};
use crate::debug::on_signal::to_stderr;
use crate::sched::global;

/// Makes the end of the program, by a return from `main` or by `exit`, report which goroutines are
/// left, if `GODEBUG=leaks=1` asks for that.
pub(crate) fn watch_end() {
    // SAFETY: the system calls `at_exit` on the thread that ends the process, when that thread's
    // thread-locals are gone. `at_exit` reads a static and starts a thread; a panic in it would
    // abort, as it is `extern "C"`. If it cannot be registered, there is no report.
    unsafe { libc::atexit(at_exit) };
}

extern "C" fn at_exit() {
    if global::running().is_some_and(|runtime| runtime.debug().leaks) {
        let report = || {
            let (leaks, note) = match leaks() {
                Ok(leaks) => (leaks, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            // If standard error is closed, the report is lost.
            let _ = to_stderr(|stderr| write(stderr, &leaks, note));
        };
        // On another thread, since this one has dropped its thread-locals already.
        let thread = std::thread::Builder::new().name("go-leaks".into());
        if let Ok(thread) = thread.spawn(report) {
            let _ = thread.join();
        }
    }
}

fn write(stderr: &mut dyn Write, leaks: &[Leak], error: Option<io::Error>) -> io::Result<()> {
    let certain = leaks.iter().filter(|leak| leak.is_certain()).count();
    let all = goroutine::goroutines();
    let left: Vec<_> = all
        .iter()
        .filter(|one| one.spawned_at().is_some())
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    let found = match (leaks.len() - certain, error) {
        (_, Some(error)) => format!(" ({error})"),
        (0, None) => format!(", of which {certain} have leaked"),
        (suspected, None) => {
            format!(", of which {certain} have leaked, and {suspected} perhaps")
        }
    };
    let number = left.len();
    writeln!(
        stderr,
        "go-runtime: goroutines left at the end of the program: {number}{found}"
    )?;
    let verdict = |one: &Goroutine| {
        let leak = leaks
            .iter()
            .find(|leak| leak.goroutine().number() == one.number());
        match leak.map(Leak::is_certain) {
            Some(true) => ", leaked",
            Some(false) => ", perhaps leaked",
            None => "",
        }
    };
    let mut groups: BTreeMap<_, (usize, &Goroutine)> = BTreeMap::new();
    for one in left {
        let place = (one.spawned_at(), one.state().to_string(), verdict(one));
        groups.entry(place).or_insert((0, one)).0 += 1;
    }
    for ((_, state, verdict), (count, one)) in groups {
        let mut with_frames = leaks.iter().map(Leak::goroutine);
        let example = with_frames.find(|leak| leak.number() == one.number());
        let example = example.unwrap_or(one);
        writeln!(
            stderr,
            "\n{count} [{state}{verdict}], for example:\n{example}"
        )?;
    }
    Ok(())
}
