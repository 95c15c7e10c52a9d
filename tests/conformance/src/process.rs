//! Tests in processes of their own.
//!
//! `GOMAXPROCS` is read once in the life of a process, one test counts what the whole process
//! allocates, and a test that hangs or brings down its process should be one failure and not the
//! end of all. So a test starts the program that it is in once more, for itself.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, exit};
use std::sync::{PoisonError, RwLock, mpsc};
use std::time::Duration;
use std::{env, thread};

use go_runtime::{Builder, gomaxprocs};

/// Set for the new process: the test that it is for.
const TEST: &str = "CONFORMANCE_TEST";

/// The exit code after a success. That of the test harness, 0, also means that no test has this
/// name.
const PASSED: i32 = 42;

/// The longest test takes some seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// As much as the thread of a test has.
const STACK_SIZE: usize = 2 << 20;

/// Shared by tests that run side by side; a test that has failed runs again alone.
static MACHINE: RwLock<()> = RwLock::new(());

/// Runs the body of the test that has the path `path`, in another process: in a goroutine if there
/// is a number of workers, or on a thread.
///
/// Many of these tests take for granted that 100 ms are enough for something to happen, which is
/// not so on a machine that others keep busy. So one that fails is run once more, when no other is,
/// if it has two `attempts`; and standard error says so, whatever the harness captures.
///
/// # Panics
/// If the test fails each time, with all that it has printed.
pub fn run(path: &str, workers: Option<usize>, attempts: usize, body: fn()) {
    // The harness leaves out the name of the crate.
    let name = path.split_once("::").map_or(path, |(_, name)| name);
    if env::var_os(TEST).is_some_and(|test| test == name) {
        exit(run_here(workers, body));
    }
    let mut command = Command::new(env::current_exe().expect("a test has an executable"));
    command.args(["--exact", name, "--include-ignored", "--nocapture"]);
    command.env(TEST, name);
    if let Some(workers) = workers {
        command.env("GOMAXPROCS", workers.to_string());
    }
    let mut attempt = || {
        let output = command.output().expect("an executable can be started");
        if output.status.code() == Some(PASSED) {
            return Ok(());
        }
        Err(format!(
            "{name} failed ({}):\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    };
    let side_by_side = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let first = attempt();
    drop(side_by_side);
    if let Err(why) = first {
        assert!(attempts > 1, "{why}");
        let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(io::stderr(), "{why}\n{name}: once more, alone");
        if let Err(why) = attempt() {
            panic!("{why}");
        }
    }
}

/// Runs the body in this process, and returns its exit code.
fn run_here(workers: Option<usize>, body: fn()) -> i32 {
    let (ended, end) = mpsc::channel();
    let test = move || {
        // Whoever panics has told so.
        let passed = catch_unwind(AssertUnwindSafe(body)).is_ok();
        ended.send(passed).expect("somebody waits for it");
    };
    match workers {
        Some(workers) => {
            assert_eq!(gomaxprocs(), workers);
            let goroutine = Builder::new().stack_size(STACK_SIZE).spawn(test);
            drop(goroutine.expect("a goroutine"));
        }
        None => drop(thread::spawn(test)),
    }
    match end.recv_timeout(LIMIT) {
        Ok(true) => PASSED,
        Ok(false) => 1,
        Err(_) => {
            eprintln!("still running after {LIMIT:?}");
            1
        }
    }
}
