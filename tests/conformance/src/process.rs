//! Runs tests in their own processes.
//!
//! `GOMAXPROCS` is read only once in a process, one test counts the allocations of the whole
//! process, and a test that hangs or aborts its process should be one failure and not end all
//! tests. So a test starts its own program again, to run only itself.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, exit};
use std::sync::{PoisonError, RwLock, mpsc};
use std::time::Duration;
use std::{env, thread};

use go_runtime::{Builder, gomaxprocs};

/// Set in the new process: the name of the test that it runs.
const TEST: &str = "CONFORMANCE_TEST";

/// The exit code of a test that passed. It differs from the test harness's own code for success, 0,
/// which also means that no test has this name.
const PASSED: i32 = 42;

/// Time after which a test counts as one that hangs. The longest test takes some seconds on a quiet
/// machine, and minutes beside busy processes: two threads take turns 400,000 times.
const LIMIT: Duration = Duration::from_secs(400);

/// Stack size of a test's goroutine: the same as that of a test's thread.
const STACK_SIZE: usize = 2 << 20;

/// Held for reading by tests that run at the same time, and for writing by a failed test that runs
/// again alone.
static MACHINE: RwLock<()> = RwLock::new(());

/// Runs the body of the test at `path` in another process: in a goroutine if there is a number of
/// workers, or else on a thread.
///
/// Many of these tests assume that 100 ms are enough for something to happen, which is not so on a
/// busy machine. So a test with two `attempts` that fails runs again while no other test is
/// running. Standard error reports this, even if the harness captures output.
///
/// # Panics
/// Panics with the output of the test if the test fails each time.
pub fn run(path: &str, workers: Option<usize>, attempts: usize, body: fn()) {
    // The harness omits the name of the crate.
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
        // The panic hook has already reported a panic of the body.
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
