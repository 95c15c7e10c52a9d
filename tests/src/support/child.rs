//! Child processes: an ignored test of this program, run by its name in a process of its own.
//!
//! A test's name is relative to the module directly under the program's root in which the caller is
//! written ([`module_of`](super::module_of)): `sync/mutex/fairness.rs` runs the test
//! `mutex::fairness::writers` as `fairness::writers`.

use std::env;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use super::{FEW_AND_MANY, NET};

/// A child that has ended, and its output.
pub struct Ended {
    /// How the child ended.
    pub status: ExitStatus,
    /// The child's standard output.
    pub out: String,
    /// The child's standard error.
    pub err: String,
}

/// Runs the ignored test with these environment variables, and none of the runtime's others. Panics
/// if it hangs.
#[track_caller]
pub fn run(test: &str, variables: &[(&str, &str)]) -> Ended {
    start(Command::new(env::current_exe().unwrap()), test, variables)
}

/// Runs the test as [`run`] does, with a limited address space.
#[track_caller]
pub fn run_within(kib: usize, test: &str, variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit -v {kib} && exec \"$0\" \"$@\""))
        .arg(env::current_exe().unwrap());
    start(command, test, variables)
}

#[track_caller]
fn start(mut command: Command, test: &str, variables: &[(&str, &str)]) -> Ended {
    command
        .args([
            "--exact",
            &super::full_name(test),
            "--ignored",
            "--nocapture",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for variable in [
        "GOMAXPROCS",
        "GOSTACK",
        "GODEBUG",
        "GOBLOCKING",
        "GOTRACEBACK",
        "RUST_BACKTRACE",
    ] {
        command.env_remove(variable);
    }
    // A shell lets its background jobs ignore some signals, and children inherit that.
    // SAFETY: between fork and exec the closure only calls `signal`, which a signal handler may
    // call.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    let child = command.envs(variables.iter().copied()).spawn().unwrap();
    let pid = child.id();
    let (done, result) = mpsc::channel();
    let waiter = thread::spawn(move || done.send(child.wait_with_output()));
    let Ok(output) = result.recv_timeout(NET) else {
        // SAFETY: `kill` touches no memory of this process. (Even if the child has just ended,
        // another process is very unlikely to have its number already.)
        unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
        panic!("{test}, {variables:?}: it hangs");
    };
    let _ = waiter.join();
    let output = output.unwrap();
    let ended = Ended {
        status: output.status,
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!(
        ended.out.contains("running 1 test"),
        "{test}: {}",
        ended.all()
    );
    ended
}

/// Runs the ignored test, which must succeed.
#[track_caller]
pub fn succeed(test: &str, variables: &[(&str, &str)]) -> Ended {
    run(test, variables).succeeded(test, variables)
}

/// Runs each of the tests with 1 worker and with 2.
#[track_caller]
pub fn succeed_with_one_and_two(tests: &[&str]) {
    succeed_with(&["1", "2"], tests);
}

/// Runs each of the tests with few workers and with many, for tests of what the scheduler decides.
#[track_caller]
pub fn succeed_with_few_and_many(tests: &[&str]) {
    succeed_with(&FEW_AND_MANY, tests);
}

/// Runs each of the tests with each of these numbers of workers.
#[track_caller]
pub fn succeed_with(workers: &[&str], tests: &[&str]) {
    for workers in workers {
        for test in tests {
            succeed(test, &[("GOMAXPROCS", workers)]);
        }
    }
}

/// Runs the test as [`succeed`] does, with a limited address space.
#[track_caller]
pub fn succeed_within(kib: usize, test: &str, variables: &[(&str, &str)]) -> Ended {
    run_within(kib, test, variables).succeeded(test, variables)
}

impl Ended {
    #[track_caller]
    fn succeeded(self, test: &str, variables: &[(&str, &str)]) -> Ended {
        assert!(
            self.status.success(),
            "{test}, {variables:?}: {}",
            self.all()
        );
        self
    }

    /// Returns the status and the whole output, for the message of an assertion.
    pub fn all(&self) -> String {
        format!(
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.status, self.out, self.err
        )
    }

    /// Returns the rest of the output line that starts with `mark`.
    #[track_caller]
    pub fn line(&self, mark: &str) -> &str {
        let mut rest = self.out.lines().filter_map(|line| line.strip_prefix(mark));
        rest.next()
            .unwrap_or_else(|| panic!("no {mark:?}: {}", self.all()))
    }

    /// Checks that the child was ended by this signal.
    #[track_caller]
    pub fn died_of(&self, signal: i32) -> &Ended {
        assert_eq!(self.status.signal(), Some(signal), "{}", self.all());
        self
    }

    /// Checks that each of `parts` is on stderr.
    #[track_caller]
    pub fn says(&self, parts: &[&str]) -> &Ended {
        for part in parts {
            assert!(
                self.err.contains(part),
                "not said: {part:?}: {}",
                self.all()
            );
        }
        self
    }

    /// Checks that none of `parts` is on stderr.
    #[track_caller]
    pub fn does_not_say(&self, parts: &[&str]) -> &Ended {
        for part in parts {
            assert!(!self.err.contains(part), "said: {part:?}: {}", self.all());
        }
        self
    }
}
