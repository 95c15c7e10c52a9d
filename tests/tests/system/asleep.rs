//! Deadlocks and SIGQUIT: what the programs of `src/bin/asleep.rs` say, and how they end.

use std::cell::{Cell, RefCell};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use go_tests::support::programs::{Ended, Running};

const DEADLOCK: &str = "fatal error: all goroutines are asleep - deadlock!";

/// Returns a command that runs the program with some number of workers.
fn command(args: &str, workers: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_asleep"));
    command.args(args.split(' '));
    for variable in ["GOSTACK", "GODEBUG", "GOTRACEBACK", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    command.env("GOMAXPROCS", workers);
    start_with_sigquit(&mut command, libc::SIG_DFL);
    command
}

/// Has the program started with this action for SIGQUIT. (What a shell starts in the background of
/// a script, maybe these tests, ignores the signal.)
fn start_with_sigquit(command: &mut Command, action: libc::sighandler_t) {
    let set = move || {
        // SAFETY: the call installs no handler.
        unsafe { libc::signal(libc::SIGQUIT, action) };
        Ok(())
    };
    // SAFETY: the function calls only what is async-signal-safe.
    unsafe { command.pre_exec(set) };
}

fn run(args: &str, workers: &str) -> Ended {
    Running::start(command(args, workers)).end_by_itself()
}

/// Runs several programs side by side, each with few workers and with many.
#[track_caller]
fn all(programs: &[&'static str], check: fn(&str, &Ended)) {
    let mut running = Vec::new();
    for workers in ["1", "2", "8"] {
        for &args in programs {
            let run = move || (format!("{args} with {workers}"), run(args, workers));
            running.push(thread::spawn(run));
        }
    }
    for one in running {
        let (what, ended) = one.join().unwrap();
        check(&what, &ended);
    }
}

#[track_caller]
fn is_deadlock(what: &str, ended: &Ended) {
    assert_eq!(ended.code, Some(2), "{what}: {}", ended.errors);
    assert!(
        // (Two that wait for each other may have been reported before.)
        ended.errors.lines().any(|line| line == DEADLOCK),
        "{what}: {}",
        ended.errors
    );
    assert!(
        ended.errors.contains("asleep.rs:"),
        "{what}: {}",
        ended.errors
    );
}

/// This takes ten seconds.
#[test]
fn a_process_that_only_other_threads_can_wake_says_so() {
    let mut running = Running::start(command("a_thread_that_sleeps", "2"));
    let said = running.wait_for(|line| line.contains("all goroutines have been asleep for"));
    assert!(said.contains("only one thread could"), "{said}");
    running.wait_for(|line| line.starts_with("goroutine ") && line.contains("[chan receive]"));
}

#[test]
fn each_deadlock_of_some_is_written_once() {
    for workers in ["1", "4"] {
        let mut running = Running::start(command("pairs", workers));
        let (said, all) = (Cell::new(0), RefCell::new(Vec::new()));
        let said_to_be_one = |line: &str| {
            all.borrow_mut().push(line.to_owned());
            said.set(said.get() + usize::from(line.starts_with("go-runtime: deadlock: 2 ")));
            line.starts_with("It waits for a mutex, which goroutine ")
                && line.ends_with("has locked.")
        };
        // (A crowd that waits for one goroutine is reported beside the first pair, once.)
        for (waits, number, name) in [(3, 2, "first"), (2, 3, "second")] {
            let named = format!("[sync.Mutex.Lock] {{name: {name}}}:");
            for _ in 0..waits {
                running.wait_for(said_to_be_one);
            }
            let all = all.take();
            assert_eq!(said.get(), number, "{all:?}");
            let count = |is_it: &dyn Fn(&str) -> bool| all.iter().filter(|one| is_it(one)).count();
            assert_eq!(count(&|line| line.contains(&named)), 2, "{all:?}");
            let places = count(&|line| line.contains("src/bin/asleep.rs:"));
            assert!(places >= 2, "{all:?}");
            let sites = count(&|line| line.starts_with("created at "));
            assert!(sites >= 2, "{all:?}");
        }
    }
}

#[test]
fn deadlocks_end_the_process() {
    let programs = [
        "own_channel",
        "own_channel plain",
        "two_locks",
        "two_locks plain",
        "own_lock",
        "wait_group",
        "condvar plain",
        "no_arms",
        "in_a_scope",
        "a_thread_goroutine",
        "late plain",
        "many",
        "holds_stderr",
    ];
    all(&programs, is_deadlock);
}

/// When the last thread is gone that might have woken a goroutine, there is another look; also when
/// the runtime's own threads are gone that have nothing to do.
#[test]
fn a_deadlock_that_begins_when_a_thread_ends() {
    let programs = [
        "after_blocking",
        "after_blocking plain",
        "after_a_thread_goroutine",
        "after_a_thread_goroutine plain",
        "after_a_deadline",
        "after_a_deadline plain",
    ];
    all(&programs, is_deadlock);
}

#[test]
fn a_deadlock_says_who_waits_for_what() {
    let ended = run("two_locks", "2");
    let errors = &ended.errors;
    assert_eq!(errors.matches("[sync.Mutex.Lock]:").count(), 2, "{errors}");
    assert!(errors.contains("[join] {name: main}:"), "{errors}");
    // The innermost call of the program's own is the second lock.
    let frames = errors.split("[sync.Mutex.Lock]:\n").skip(1);
    for frames in frames {
        let place = frames.lines().nth(1).unwrap();
        assert!(place.contains("src/bin/asleep.rs:"), "{errors}");
        assert!(!frames.contains("go-runtime/src"), "{errors}");
    }
}

#[test]
fn what_comes_from_outside_is_waited_for() {
    let programs = [
        "a_timer",
        "a_timer plain",
        "after_func",
        "after_func plain",
        "a_pipe",
        "a_pipe plain",
        "a_process",
        "a_process plain",
        "a_blocking_call",
        "a_blocking_call plain",
        "a_thread",
        "a_thread plain",
        "a_thread_with_a_deadline",
        "a_thread_with_a_deadline plain",
        "an_alarm",
        "an_alarm plain",
    ];
    all(&programs, |what, ended| {
        assert_eq!(
            (ended.code, &*ended.errors),
            (Some(0), ""),
            "{what}: {}",
            ended.errors
        );
    });
}

#[test]
fn a_signal_is_waited_for() {
    let mut running = Running::start(command("a_listener", "2"));
    running.wait_for(|line| line == "ready");
    // The monitor has to see it asleep. A machine that is slower than that makes the test pass.
    thread::sleep(Duration::from_secs(1));
    running.send_signal("USR1");
    let ended = running.end_by_itself();
    assert_eq!((ended.code, &*ended.errors), (Some(0), "ready\n"));
}

/// The thread that writes the lines is known, and is not taken for one that may wake a goroutine.
#[test]
fn a_deadlock_ends_a_traced_process() {
    let mut command = command("own_channel", "2");
    command.env("GODEBUG", "schedtrace=50");
    let ended = Running::start(command).end_by_itself();
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    assert!(ended.errors.starts_with("SCHED 0ms: "), "{}", ended.errors);
    assert!(ended.errors.contains(DEADLOCK), "{}", ended.errors);
}

#[test]
fn deadlocks_may_be_left_alone() {
    let mut command = command("own_channel", "2");
    command.env("GODEBUG", "deadlock=0");
    let running = Running::start(command);
    thread::sleep(Duration::from_secs(1));
    running.send_signal("QUIT");
    let ended = running.end_by_itself();
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.errors.starts_with("SIGQUIT: quit\n"),
        "{}",
        ended.errors
    );
}

#[test]
fn sigquit_dumps_and_ends_the_process() {
    for workers in ["1", "2", "8"] {
        let mut running = Running::start(command("sleeper", workers));
        running.wait_for(|line| line == "ready");
        running.send_signal("QUIT");
        let ended = running.end_by_itself();
        assert_eq!(ended.code, Some(2));
        let errors = &ended.errors;
        assert!(errors.starts_with("ready\nSIGQUIT: quit\n\n"), "{errors}");
        assert!(errors.contains(" {name: dreamer}:\n"), "{errors}");
        assert!(errors.contains("[join] {name: main}:\n"), "{errors}");
    }
}

#[test]
fn gotraceback_says_what_is_dumped() {
    for (level, dumps) in [("none", false), ("single", true), ("crash", true)] {
        let ends_rightly = |ended: &Ended| {
            let errors = &ended.errors;
            assert_eq!(errors.contains(" {name: main}:\n"), dumps, "{errors}");
            let end = match level {
                "crash" => (None, Some(libc::SIGABRT)),
                _ => (Some(2), None),
            };
            assert_eq!((ended.code, ended.signal), end, "{errors}");
        };
        let mut deadlock = command("own_channel", "2");
        deadlock.env("GOTRACEBACK", level);
        let ended = Running::start(deadlock).end_by_itself();
        assert!(ended.errors.starts_with(DEADLOCK), "{}", ended.errors);
        ends_rightly(&ended);

        let mut sleeper = command("sleeper", "2");
        sleeper.env("GOTRACEBACK", level);
        let mut sleeper = Running::start(sleeper);
        sleeper.wait_for(|line| line == "ready");
        sleeper.send_signal("QUIT");
        let ended = sleeper.end_by_itself();
        assert!(ended.errors.contains("SIGQUIT: quit\n"), "{}", ended.errors);
        ends_rightly(&ended);
    }
}

/// The thread that waits for the end of `main` is the runtime's affair.
#[test]
fn the_first_thread_is_not_dumped() {
    let ended = run("own_channel", "2");
    assert!(!ended.errors.contains("thread "), "{}", ended.errors);
    let ended = run("own_channel plain", "2");
    assert!(
        ended.errors.contains("[chan receive] {name: main}:"),
        "{}",
        ended.errors
    );
}

#[test]
fn sigquit_dumps_while_all_workers_are_held() {
    let mut running = Running::start(command("hog", "2"));
    running.wait_for(|line| line == "ready");
    running.wait_for(|line| line == "ready");
    running.send_signal("QUIT");
    let ended = running.end_by_itself();
    assert_eq!(ended.code, Some(2));
    let errors = &ended.errors;
    // They hold their workers, of which the monitor knows after some milliseconds.
    let running = errors.matches(" [running]:\n").count();
    let held = errors.matches(" [running, has held worker ").count();
    assert_eq!(running + held, 2, "{errors}");
}

#[test]
fn sigquit_dumps_in_the_background_of_a_script() {
    let mut command = command("sleeper", "2");
    start_with_sigquit(&mut command, libc::SIG_IGN);
    let mut running = Running::start(command);
    running.wait_for(|line| line == "ready");
    running.send_signal("QUIT");
    let ended = running.end_by_itself();
    assert_eq!(ended.code, Some(2));
    assert!(ended.errors.contains("SIGQUIT: quit\n"), "{}", ended.errors);
}

#[test]
fn others_handle_sigquit_first() {
    for program in ["own_listener", "own_handler", "own_then_notify"] {
        let mut running = Running::start(command(program, "2"));
        running.wait_for(|line| line == "ready");
        running.send_signal("QUIT");
        let ended = running.end_by_itself();
        assert_eq!(
            (ended.code, &*ended.errors),
            (Some(0), "ready\n"),
            "{program}"
        );
    }
    let mut running = Running::start(command("ignores", "2"));
    running.wait_for(|line| line == "ready");
    running.send_signal("QUIT");
    thread::sleep(Duration::from_millis(100));
    running.send_signal("USR1");
    let ended = running.end_by_itself();
    assert_eq!((ended.code, &*ended.errors), (Some(0), "ready\n"));
}

#[test]
fn sigquit_needs_no_lock_of_stderr() {
    let mut running = Running::start(command("sleeper_holds_stderr", "2"));
    running.wait_for(|line| line == "ready");
    running.send_signal("QUIT");
    let ended = running.end_by_itself();
    assert_eq!(ended.code, Some(2));
    assert!(ended.errors.contains("SIGQUIT: quit\n"), "{}", ended.errors);
}

#[test]
fn sigquit_ends_a_forked_child_as_usual() {
    let ended = run("forks", "2");
    assert_eq!((ended.code, &*ended.errors), (Some(0), ""));
}

#[test]
fn a_plain_main_has_the_systems_sigquit() {
    let mut running = Running::start(command("sleeper plain", "2"));
    running.wait_for(|line| line == "ready");
    running.send_signal("QUIT");
    assert_eq!(running.end_by_itself().code, None);
}

#[test]
fn another_signal_dumps_and_lets_the_process_go_on() {
    let mut running = Running::start(command("on_usr1", "2"));
    running.wait_for(|line| line == "ready");
    for _ in 0..2 {
        running.send_signal("USR1");
        running.wait_for(|line| line.contains("{name: dreamer}"));
    }
    running.send_signal("QUIT");
    let ended = running.end_by_itself();
    assert_eq!(ended.code, Some(2));
    // (In the first dump it may be about to sleep.)
    let dumps = ended.errors.matches("] {name: dreamer}:").count();
    assert_eq!(dumps, 3, "{}", ended.errors);
}
