//! The names that are changed, and the tests that are left out.

/// A test that is not for goroutines: file, name, why.
type Unfit = (&'static str, &'static str, &'static str);

const NOT_FOR_GOROUTINES: [Unfit; 1] = [(
    "thread_locals",
    "use_while_exiting",
    "it is about a thread that ends: a goroutine's thread never does, so thread-locals are not dropped",
)];

/// For plain threads: the channels' names.
pub(crate) fn for_threads(_file: &str, text: &str) -> String {
    // The macro behind crossbeam's `select!`, which one file calls for its names' sake.
    text.replace("crossbeam_channel_internal!", "select!")
        .replace("crossbeam_channel", "go_runtime::channel")
}

/// For goroutines: the names of what starts and blocks threads, besides.
pub(crate) fn for_goroutines(file: &str, text: &str) -> String {
    let mut text = for_threads(file, text)
        .replace("std::thread", "conformance::thread")
        .replace(
            "crossbeam_utils::thread::scope",
            "conformance::thread::crossbeam_scope",
        )
        .replace(
            "use std::sync::{Arc, Condvar, Mutex};",
            "use conformance::sync::{Condvar, Mutex};\nuse std::sync::Arc;",
        )
        .replace("#[test]", "#[conformance::test]")
        .replace(
            "use conformance::thread::crossbeam_scope;",
            "use conformance::thread::crossbeam_scope as scope;",
        );
    for (_, name, why) in NOT_FOR_GOROUTINES.iter().filter(|unfit| unfit.0 == file) {
        let function = format!("fn {name}()");
        assert!(
            text.contains(&function),
            "{file} has no test {name} to be left out"
        );
        text = text.replace(&function, &format!("#[ignore = {why:?}]\n{function}"));
    }
    text
}
