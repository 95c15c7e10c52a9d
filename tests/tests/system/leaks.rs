//! Leaked goroutines: `debug::leaks`, which the programs of `src/bin/leaking.rs` call, and what
//! `GODEBUG=leaks=1` writes.
#![cfg(all(target_env = "gnu", not(feature = "sanitizer")))]

use std::process::Command;
use std::thread;

use go_tests::support::programs::{Ended, Running};

const WORKERS: [&str; 5] = ["1", "2", "4", "8", "16"];

#[rustfmt::skip]
const PROGRAMS: [&str; 35] = [
    // Leaks.
    "own_sender", "each_other", "select_own", "no_arms", "never", "two_locks", "own_wait_group",
    "in_a_scope", "condvar", "rw_lock", "semaphore", "joins", "in_the_heap", "in_a_message",
    "after_a_sleep", "holds_a_known_lock", "many", "forgotten",
    // None.
    "in_a_static", "in_a_box", "in_a_thread", "in_a_thread_local", "in_a_deadline", "not_started",
    "in_blocking", "in_a_chain", "in_a_frame_of_a_scope", "tagged", "passed_on",
    "in_a_large_vector", "thread_to_thread", "in_a_register", "below_a_stack", "on_an_old_stack",
    "in_a_copied_page",
];

fn run(program: &str, workers: &str, debug: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leaking"));
    command.arg(program);
    for variable in ["GOSTACK", "GOTRACEBACK", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    command.env("GOMAXPROCS", workers).env("GODEBUG", debug);
    Running::start(command).end_by_itself()
}

/// Runs all programs, each with the numbers of workers that are chosen for it, some side by side.
fn run_all(workers_of: impl Fn(usize) -> Vec<&'static str> + Sync) {
    thread::scope(|scope| {
        for offset in 0..4 {
            let workers_of = &workers_of;
            scope.spawn(move || {
                for (index, program) in PROGRAMS.iter().enumerate().skip(offset).step_by(4) {
                    for workers in workers_of(index) {
                        run_one(program, workers);
                    }
                }
            });
        }
    });
}

/// Runs a program until it finds its leaks: an old copy of an address may hide one. More must never
/// be found.
fn run_one(program: &str, workers: &str) {
    const MISSED: Option<i32> = Some(3);
    let mut ended = run(program, workers, "");
    for _ in 0..9 {
        if ended.code == MISSED {
            ended = run(program, workers, "");
        }
    }
    let errors = ended.errors;
    assert_eq!(ended.code, Some(0), "{program} with {workers}: {errors}");
}

#[test]
fn leaks_are_found_and_nothing_else() {
    run_all(|index| vec![WORKERS[index % WORKERS.len()]]);
}

#[test]
#[ignore = "takes a minute"]
fn leaks_are_found_with_each_number_of_workers() {
    run_all(|_| WORKERS.to_vec());
}

#[test]
fn what_is_left_is_reported_at_the_end() {
    let ended = run("own_sender", "2", "leaks=1");
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    for part in [
        "goroutines left at the end of the program: 1, of which 1 have leaked\n",
        "1 [chan receive, leaked], for example:\ngoroutine ",
        "leaking.rs:",
    ] {
        assert!(ended.errors.contains(part), "{part}: {}", ended.errors);
    }
    let ended = run("in_a_static", "2", "leaks=1");
    let expected = "goroutines left at the end of the program: 1, of which 0 have leaked\n";
    assert!(ended.errors.contains(expected), "{}", ended.errors);
    let ended = run("own_sender", "2", "");
    assert_eq!(ended.errors, "");
}
