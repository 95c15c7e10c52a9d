//! The renamed items, the tests that are left out, and those that run for a shorter time.

use std::env;

use crate::Source;

/// A test that goroutines cannot pass.
struct LeftOut {
    file: &'static str,
    /// The test's path in its file.
    path: &'static str,
    /// The test is left out with this many workers or fewer.
    workers: usize,
    why: &'static str,
}

const NOT_FOR_GOROUTINES: &[LeftOut] = &[
    LeftOut {
        file: "thread_locals",
        path: "use_while_exiting",
        workers: usize::MAX,
        why: "about thread-locals that are dropped when a thread ends: a goroutine has none of its \
              own, and its thread does not end",
    },
    LeftOut {
        file: "mpsc",
        path: "channel_tests::port_gone_concurrent",
        workers: 1,
        why: "sends to an unbounded channel, which never waits, until the system lets another \
              thread run: a goroutine keeps its only worker",
    },
    LeftOut {
        file: "mpsc",
        path: "channel_tests::port_gone_concurrent_shared",
        workers: 1,
        why: "as port_gone_concurrent",
    },
];

/// The tests, by file and name, that take most processor time: in each run two threads poll for
/// half a second, unless they meet before.
const POLLING: [(&str, &str); 2] = [("select", "loop_try"), ("select_macro", "loop_try")];

/// In debug builds, gives tests of `POLLING` 4 runs in place of 20.
pub(crate) fn shorten(tests: &mut [Source]) {
    const RUNS: &str = "const RUNS: usize = 20;";
    if env::var("PROFILE").as_deref() != Ok("debug") {
        return;
    }
    for file in tests {
        for (_, test) in POLLING.iter().filter(|(name, _)| *name == file.name) {
            let at = find(&file.name, &file.text, test);
            let found = file.text[at..].find(RUNS).map(|runs| at + runs);
            let runs = found.unwrap_or_else(|| panic!("{}.rs: {test} has no {RUNS}", file.name));
            let end = runs + RUNS.len();
            file.text.replace_range(runs..end, "const RUNS: usize = 4;");
        }
    }
}

/// Renames for plain threads: the names of the channels.
pub(crate) fn for_threads(file: &Source) -> String {
    channels(&file.text).replace("#[test]", "#[conformance::in_process]")
}

pub(crate) fn channels(text: &str) -> String {
    // The macro behind crossbeam's `select!`: mpsc.rs defines its own `select!` by means of it.
    text.replace("crossbeam_channel_internal!", "select!")
        .replace("crossbeam_channel", "go_runtime::channel")
}

/// Renames for goroutines: also the names of the functions that start, join and block threads.
pub(crate) fn for_goroutines(file: &Source) -> String {
    let mut text = channels(&file.text)
        .replace("std::thread", "conformance::thread")
        .replace("std::sync", "conformance::sync")
        .replace("crossbeam_utils::thread", "conformance::scoped")
        .replace("#[test]", "#[conformance::in_goroutine]");
    for test in NOT_FOR_GOROUTINES
        .iter()
        .filter(|test| test.file == file.name)
    {
        let LeftOut {
            path, workers, why, ..
        } = test;
        let at = find(&file.name, &text, path);
        text.insert_str(at, &format!("#[left_out({workers}, {why:?})]\n"));
    }
    text
}

/// Returns the position of the function with this path.
fn find(file: &str, text: &str, path: &str) -> usize {
    let mut start = 0;
    let mut parts = path.split("::").peekable();
    while let Some(part) = parts.next() {
        let item = match parts.peek() {
            Some(_) => format!("mod {part} {{"),
            None => format!("fn {part}()"),
        };
        match text[start..].find(&item) {
            Some(found) => start += found,
            None => panic!("{file}.rs has no test {path}, which build/names.rs names"),
        }
    }
    start
}

/// Panics if a table names a file that does not exist.
pub(crate) fn check(tests: &[Source]) {
    let left_out = NOT_FOR_GOROUTINES.iter().map(|test| test.file);
    for file in left_out.chain(POLLING.map(|(file, _)| file)) {
        assert!(
            tests.iter().any(|test| test.name == file),
            "there is no file of tests {file}.rs, which build/names.rs names"
        );
    }
}
