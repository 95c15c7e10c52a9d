//! The names that are changed, and the tests that are left out.

use crate::Source;

/// A test that is not for goroutines: its file, its name, and why.
type LeftOut = (&'static str, &'static str, &'static str);

const NOT_FOR_GOROUTINES: &[LeftOut] = &[(
    "thread_locals",
    "use_while_exiting",
    "about thread-locals that are dropped when a thread ends: a goroutine has none of its own, and its thread does not end",
)];

/// It counts what the whole process allocates.
const MEASURES_ITS_PROCESS: &str = "golang";

/// Panics if a test that is to be left out does not exist.
pub(crate) fn check(tests: &[Source]) {
    for (file, name, _) in NOT_FOR_GOROUTINES {
        assert!(
            tests
                .iter()
                .any(|test| test.name == *file && test.text.contains(&declaration(name))),
            "there is no test {file}::{name} to leave out"
        );
    }
}

fn declaration(test: &str) -> String {
    format!("fn {test}()")
}

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
    for (_, name, why) in NOT_FOR_GOROUTINES.iter().filter(|test| test.0 == file.name) {
        let test = declaration(name);
        text = text.replace(&test, &format!("#[ignore = {why:?}]\n{test}"));
    }
    text
}
