//! The names that are changed, and the tests that are left out.

/// A test that goroutines cannot pass, and why.
struct Unfit {
    file: &'static str,
    /// With the modules that it is in.
    test: &'static str,
    /// It can with more workers than these.
    up_to: usize,
    why: &'static str,
}

const UNFIT: [Unfit; 3] = [
    Unfit {
        file: "thread_locals",
        test: "use_while_exiting",
        up_to: usize::MAX,
        why: "it is about a thread that ends; the threads of goroutines never do",
    },
    Unfit {
        file: "mpsc",
        test: "channel_tests::port_gone_concurrent",
        up_to: 1,
        why: "it sends to an unbounded channel, which never waits, until the system lets another thread run",
    },
    Unfit {
        file: "mpsc",
        test: "channel_tests::port_gone_concurrent_shared",
        up_to: 1,
        why: "as port_gone_concurrent",
    },
];

/// For plain threads: the channels' names.
pub(crate) fn for_threads(text: &str) -> String {
    // The macro behind crossbeam's `select!`, which one file calls for its names' sake.
    text.replace("crossbeam_channel_internal!", "select!")
        .replace("crossbeam_channel", "go_runtime::channel")
}

/// For goroutines on so many workers: the names of what starts and blocks threads, besides.
pub(crate) fn for_goroutines(file: &str, text: &str, workers: usize) -> String {
    let mut text = for_threads(text);
    for (theirs, ours) in [
        (
            "use crossbeam_utils::thread::scope;",
            "use conformance::thread::crossbeam_scope as scope;",
        ),
        (
            "use std::sync::{Arc, Condvar, Mutex};",
            "use conformance::sync::{Condvar, Mutex};\nuse std::sync::Arc;",
        ),
        ("std::thread", "conformance::thread"),
        ("#[test]", "#[conformance::test]"),
    ] {
        text = text.replace(theirs, ours);
    }
    for unfit in UNFIT
        .iter()
        .filter(|unfit| unfit.file == file && workers <= unfit.up_to)
    {
        text = ignore(&text, unfit);
    }
    text
}

/// Marks the test as one to be ignored.
fn ignore(text: &str, unfit: &Unfit) -> String {
    let Unfit {
        file, test, why, ..
    } = unfit;
    // Each name from where the one around it begins.
    let mut at = 0;
    let mut path: Vec<_> = test.split("::").collect();
    let function = path.pop().map(|name| format!("fn {name}()"));
    for needle in path
        .iter()
        .map(|name| format!("mod {name} {{"))
        .chain(function)
    {
        match text[at..].find(&needle) {
            Some(found) => at += found,
            None => panic!("{file} has no test {test} to be left out (looking for {needle:?})"),
        }
    }
    let (before, after) = text.split_at(at);
    format!("{before}#[ignore = {why:?}]\n{after}")
}
