//! What the programs of `src/bin/failing.rs` say with each `GOTRACEBACK`, and how they end.

use std::os::unix::process::CommandExt;
use std::process::Command;

use go_tests::support::FEW_AND_MANY;
use go_tests::support::programs::{Ended, Running};

/// The levels, with whether each writes the goroutine that has failed, and the others.
const LEVELS: [(&str, bool, bool); 5] = [
    ("none", false, false),
    ("", true, false),
    ("single", true, false),
    ("all", true, true),
    ("crash", true, true),
];

/// The other goroutine of each program.
const OTHER: &str = "[chan receive] {name: waiter}:\n";

fn run(args: &str, variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_failing"));
    command.args(args.split(' '));
    for variable in ["GOSTACK", "GODEBUG", "GOTRACEBACK", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    command.envs(variables.iter().copied());
    let no_core = || {
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: `none` is valid.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
        Ok(())
    };
    // SAFETY: the function calls only what is async-signal-safe.
    unsafe { command.pre_exec(no_core) };
    Running::start(command).end_by_itself()
}

#[track_caller]
fn says(ended: &Ended, text: &str, is_said: bool) {
    let errors = &ended.errors;
    assert_eq!(errors.contains(text), is_said, "{text:?}: {errors}");
}

/// Runs the program at each level with few workers and with many, and checks what is said of the
/// goroutine that has failed and of the others.
#[track_caller]
fn at_each_level(program: &str, failed: &str, check: fn(&str, &Ended)) {
    for workers in FEW_AND_MANY {
        for (level, single, all) in LEVELS {
            let ended = run(program, &[("GOMAXPROCS", workers), ("GOTRACEBACK", level)]);
            let head = format!(" [running] {{name: {failed}}}:\ncreated at ");
            says(&ended, &head, single);
            says(&ended, OTHER, all);
            if single {
                // The goroutine that has failed is written once, and first.
                let first = ended.errors.find("[running]");
                let runs =
                    |line: &&str| line.starts_with("goroutine ") && line.contains("[running]");
                let running = ended.errors.lines().filter(runs).count();
                assert_eq!(running, 1, "{}", ended.errors);
                assert!(first < ended.errors.find(OTHER) || !all, "{}", ended.errors);
            }
            check(level, &ended);
        }
    }
}

fn ends_by_panic(level: &str, ended: &Ended) {
    let end = (ended.code, ended.signal);
    if level == "crash" {
        assert_eq!(end, (None, Some(libc::SIGABRT)), "{}", ended.errors);
    } else {
        assert_eq!(end, (Some(101), None), "{}", ended.errors);
    }
}

#[test]
fn panics_of_main() {
    at_each_level("panics", "main", |level, ended| {
        ends_by_panic(level, ended);
        assert!(
            ended.errors.starts_with("goroutine 'main', spawned at "),
            "{}",
            ended.errors
        );
        says(ended, "no luck\n", true);
        // The other goroutine has its frames, since no worker is held.
        says(ended, "waits_here", ["all", "crash"].contains(&level));
        // Without `RUST_BACKTRACE` no frames of the panic are written.
        says(ended, "failing::panics", false);
    });
}

#[test]
fn a_panic_that_main_repeats() {
    at_each_level("joins_a_panic", "main", |level, ended| {
        ends_by_panic(level, ended);
        assert!(
            ended.errors.starts_with("goroutine 'unnamed', spawned at "),
            "{}",
            ended.errors
        );
    });
}

/// What such a program writes is its own affair, unless the setting asks for the goroutines.
#[test]
fn a_hook_of_the_program_writes_alone() {
    for (level, _, all) in LEVELS {
        let level = [("GOTRACEBACK", level)];
        for (program, said) in [
            ("panics_with_a_hook", "the program's own words\n"),
            ("throws", ""),
        ] {
            let ended = run(program, &level);
            ends_by_panic(level[0].1, &ended);
            if all {
                says(&ended, "[running] {name: main}:\ncreated at ", true);
                says(&ended, OTHER, true);
            } else {
                assert_eq!(ended.errors, said);
            }
        }
    }
}

#[test]
fn a_panic_that_ends_its_goroutine_only() {
    for (level, ..) in LEVELS {
        let ended = run("goes_on", &[("GOTRACEBACK", level)]);
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        says(&ended, "[running]", false);
    }
}

#[test]
fn rust_backtrace_adds_the_frames_of_the_panic() {
    for level in ["none", "single"] {
        let ended = run("panics", &[("GOTRACEBACK", level), ("RUST_BACKTRACE", "1")]);
        says(&ended, "failing::panics", true);
    }
}

#[test]
fn overflows() {
    at_each_level("overflows", "deep", |_, ended| {
        let end = (ended.code, ended.signal);
        assert_eq!(end, (None, Some(libc::SIGABRT)), "{}", ended.errors);
        says(ended, "goroutine 'deep', spawned at ", true);
        says(ended, "has overflowed its stack of ", true);
    });
    // A thread that spawns is no goroutine.
    let ended = run("overflows plain", &[]);
    says(&ended, "[running] {name: deep}:\ncreated at ", true);
    says(&ended, "by the goroutine created at ", false);
    let ended = run("overflows", &[]);
    says(&ended, "\tby the goroutine created at ", true);
}

/// The dump cannot be made. This takes ten seconds.
#[test]
fn an_overflow_with_a_lock_held_ends_the_process() {
    let ended = run("overflows_with_memory_locked", &[("GOTRACEBACK", "all")]);
    assert_eq!(ended.signal, Some(libc::SIGABRT), "{}", ended.errors);
    says(&ended, "[running] {name: deep}:\ncreated at ", true);
    says(&ended, OTHER, false);
}

#[test]
fn a_value_that_is_none() {
    let ended = run("goes_on", &[("GOTRACEBACK", "some")]);
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    says(
        &ended,
        "error: GOTRACEBACK=\"some\" is no level of detail: ",
        true,
    );
}

/// The monitor goes on while its report cannot be written.
#[test]
fn a_full_stderr_does_not_stop_the_monitor() {
    let variables = [("GOMAXPROCS", "1"), ("GODEBUG", "slow=1")];
    let ended = run("has_a_full_stderr", &variables);
    // (On a busy machine a report may have been made before standard error was full.)
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
}
