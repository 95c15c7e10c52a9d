//! A test harness like cargo's, which also reports which tests were skipped, and why.
//!
//! Tests run one after the other, because with one worker a test that holds it would disturb all
//! others. Words on the command line select the tests whose names contain one of them.

use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

/// A test, and the servers that it needs and lacks.
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) lacks: Option<String>,
    pub(crate) run: Box<dyn FnOnce()>,
}

/// Runs the tests, and prints the same output as cargo's harness.
pub(crate) fn run(tests: Vec<Test>) -> ExitCode {
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), Vec::new());
    let all = tests.len();
    for Test { name, lacks, run } in tests {
        if !words.is_empty() && !words.iter().any(|word| name.contains(word)) {
            continue;
        }
        if let Some(lacks) = lacks {
            println!("test {name} ... ignored, no {lacks}");
            skipped.push(name);
            continue;
        }
        // Only this test uses the locks and servers that its panic may leave in disorder.
        if panic::catch_unwind(AssertUnwindSafe(run)).is_ok() {
            println!("test {name} ... ok");
            passed += 1;
        } else {
            println!("test {name} ... FAILED");
            failed.push(name);
        }
    }
    for (what, names) in [("failed", &failed), ("skipped", &skipped)] {
        if !names.is_empty() {
            println!("\n{what}: {}", names.len());
            names.iter().for_each(|name| println!("    {name}"));
        }
    }
    let ignored = skipped.len();
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {result}. {passed} passed; {} failed; {ignored} ignored; 0 measured; \
         {} filtered out\n",
        failed.len(),
        all - passed - failed.len() - ignored,
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
