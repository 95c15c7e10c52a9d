//! The names that are changed, the tests that are left out, and those that have to be held back.

use std::ops::Range;

use crate::Source;

/// A test that is not for goroutines: its file, its path in there, and why.
type LeftOut = (&'static str, &'static str, &'static str);

const NOT_FOR_GOROUTINES: &[LeftOut] = &[(
    "thread_locals",
    "use_while_exiting",
    "about thread-locals that are dropped when a thread ends: a goroutine has none of its own, and its thread does not end",
)];

/// Tests with a loop that does nothing but operations that do not wait, until others have done something: their file, and their path.
///
/// A goroutine that never waits keeps its worker (the README says so), so with fewer workers than such loops and their partners the
/// test would never end. A turn of such a loop [yields](../src/thread.rs) where it has to, and changes nothing else.
const BUSY: &[(&str, &str)] = &[
    ("iter", "recv_try_iter"),
    ("list", "stress_iter"),
    ("mpsc", "channel_tests::port_gone_concurrent"),
    ("mpsc", "channel_tests::port_gone_concurrent_shared"),
    ("mpsc", "channel_tests::test_recv_try_iter"),
    ("select", "loop_try"),
    ("select_macro", "loop_try"),
    ("zero", "stress_iter"),
];

/// How the turn of such a loop begins in these tests, and what is put there.
const TURNS: [(&str, &str); 2] = [
    ("loop {", "loop { conformance::thread::busy();"),
    (".is_ok() {}", ".is_ok() { conformance::thread::busy(); }"),
];

/// It counts what the whole process allocates.
const MEASURES_ITS_PROCESS: &str = "golang";

/// For plain threads: the channels' names.
pub(crate) fn for_threads(file: &Source) -> String {
    let text = channels(&file.text);
    if file.name == MEASURES_ITS_PROCESS {
        text.replace("#[test]", "#[conformance::in_process]")
    } else {
        text
    }
}

pub(crate) fn channels(text: &str) -> String {
    // The macro behind crossbeam's `select!`: mpsc.rs has a `select!` of its own, made of this one.
    text.replace("crossbeam_channel_internal!", "select!")
        .replace("crossbeam_channel", "go_runtime::channel")
}

/// For goroutines: also the names of what starts, joins and blocks threads.
pub(crate) fn for_goroutines(file: &Source) -> String {
    let mut text = channels(&file.text)
        .replace("std::thread", "conformance::thread")
        .replace("std::sync", "conformance::sync")
        .replace("crossbeam_utils::thread", "conformance::scoped")
        .replace("#[test]", "#[conformance::in_goroutine]");
    for (_, path, why) in NOT_FOR_GOROUTINES.iter().filter(|test| test.0 == file.name) {
        let test = find(&file.name, &text, path);
        text.insert_str(test.start, &format!("#[ignore = {why:?}]\n"));
    }
    for (_, path) in BUSY.iter().filter(|test| test.0 == file.name) {
        let test = find(&file.name, &text, path);
        let body = &text[test.clone()];
        let held_back = TURNS
            .iter()
            .fold(body.to_owned(), |body, (old, new)| body.replace(old, new));
        assert_ne!(body, held_back, "{}::{path} has no such loop", file.name);
        text.replace_range(test, &held_back);
    }
    text
}

/// Where the function with this path is, from `fn` to the brace in a line by itself that ends it.
fn find(file: &str, text: &str, path: &str) -> Range<usize> {
    let found = || {
        let mut start = 0;
        let mut parts = path.split("::").peekable();
        while let Some(part) = parts.next() {
            let item = match parts.peek() {
                Some(_) => format!("mod {part} {{"),
                None => format!("fn {part}()"),
            };
            start += text[start..].find(&item)?;
        }
        let indentation = start - text[..start].rfind('\n')? - 1;
        let end = format!("\n{:indentation$}}}\n", "");
        Some(start..start + text[start..].find(&end)? + end.len())
    };
    found().unwrap_or_else(|| panic!("{file}.rs has no test {path}, which build/names.rs names"))
}

/// Panics if a table names a file that does not exist.
pub(crate) fn check(tests: &[Source]) {
    let left_out = NOT_FOR_GOROUTINES.iter().map(|test| test.0);
    for file in left_out.chain(BUSY.iter().map(|test| test.0)) {
        assert!(
            tests.iter().any(|test| test.name == file),
            "there is no file of tests {file}.rs, which build/names.rs names"
        );
    }
}
