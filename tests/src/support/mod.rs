//! Functions that the test programs share: they run tests in a goroutine, on a thread or in child
//! processes, and wait for events.

#[cfg(unix)]
pub mod busy;
#[cfg(unix)]
pub mod child;
#[cfg(unix)]
pub mod client;
#[cfg(unix)]
pub mod http;
pub mod memory;
#[cfg(unix)]
pub mod programs;
#[cfg(unix)]
pub mod server;
pub mod tools;

use std::env;
use std::panic::{self, Location};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::sync::{Mutex, MutexGuard};
use go_runtime::{go, yield_now};

/// A safety limit: a test that takes longer counts as deadlocked. Tests of races need minutes
/// beside busy processes.
pub const NET: Duration = Duration::from_secs(400);

/// Runs `test` in a goroutine, from a thread. A deadlock makes the test fail, and not hang.
#[track_caller]
pub fn in_goroutine<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    let running = go!(move || done.send(test()).unwrap());
    match result.recv_timeout(NET) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("the goroutine is deadlocked"),
        Err(RecvTimeoutError::Disconnected) => panic::resume_unwind(running.join().unwrap_err()),
    }
}

/// Runs `test` on a thread of its own.
#[track_caller]
pub fn on_thread<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    let running = thread::spawn(move || done.send(test()).unwrap());
    match result.recv_timeout(NET) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("the thread is deadlocked"),
        Err(RecvTimeoutError::Disconnected) => panic::resume_unwind(running.join().unwrap_err()),
    }
}

/// Runs `test` in a goroutine, then on a thread.
#[track_caller]
pub fn in_both<T: Send + 'static>(test: fn() -> T) {
    in_goroutine(test);
    on_thread(test);
}

/// Yields until `condition` holds.
#[track_caller]
pub fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < NET, "it never came to be");
        yield_now();
    }
}

/// Lets all other goroutines of this worker run until they block, if they were started with
/// `local`.
pub fn settle() {
    // (It yields many times, because runnable goroutines and unstarted ones take turns, and so do
    // local goroutines and others.)
    for _ in 0..100 {
        yield_now();
    }
}

/// Numbers of workers for tests of the scheduler's decisions: one, as many as most machines have
/// processors, and more.
pub const FEW_AND_MANY: [&str; 5] = ["1", "2", "4", "8", "16"];

/// Returns the module of the calling test, directly under the root of its test program, by the path
/// of the caller's file. `tests/tests/sync/mutex/fairness.rs` is in `mutex`; a program's `main.rs`,
/// or a program of one file, is in none.
#[track_caller]
#[must_use]
pub fn module_of() -> Option<&'static str> {
    let file = Path::new(Location::caller().file());
    let mut parts = file.iter().map(|part| part.to_str().unwrap()).rev();
    // The folders from the file up to `tests/tests`, the test programs' folder.
    let mut below: Vec<_> = parts.by_ref().take_while(|part| *part != "tests").collect();
    below.reverse();
    let module = below.get(1)?.trim_end_matches(".rs");
    (module != "main").then_some(module)
}

/// Returns the full name of a test that is given relative to the [caller's module](module_of).
#[track_caller]
#[must_use]
pub fn full_name(test: &str) -> String {
    match module_of() {
        Some(module) => format!("{module}::{test}"),
        None => test.to_owned(),
    }
}

/// Runs the ignored tests of the [caller's module](module_of) whose names contain one of `filters`
/// in processes of their own, with few workers and with many.
#[track_caller]
pub fn at_several_gomaxprocs(filters: &[&str]) {
    let tests = tests_of(&full_name(""), true);
    run_tests(
        &FEW_AND_MANY,
        &those_that_contain(filters, tests),
        &["--ignored"],
    );
}

/// Runs the tests of the [caller's module](module_of) that are not ignored and whose names contain
/// one of `filters`, in a process of its own for each of these numbers of workers.
#[track_caller]
pub fn run_with(workers: &[&str], filters: &[&str]) {
    let tests = tests_of(&full_name(""), false);
    run_tests(workers, &those_that_contain(filters, tests), &[]);
}

/// Keeps the names that contain one of `filters`. Panics if one of the filters fits no name.
#[track_caller]
fn those_that_contain(filters: &[&str], mut tests: Vec<String>) -> Vec<String> {
    for filter in filters {
        let is_in_one = tests.iter().any(|test| test.contains(filter));
        assert!(is_in_one, "no test's name contains {filter:?}");
    }
    tests.retain(|test| filters.iter().any(|filter| test.contains(filter)));
    tests
}

/// Runs the tests of the [caller's module](module_of), except the ignored ones and `caller` itself,
/// in processes of their own with each of these numbers of workers.
#[track_caller]
pub fn whole_module_with(workers: &[&str], caller: &str) {
    let caller = full_name(caller);
    let mut tests = tests_of(&full_name(""), false);
    let all = tests.len();
    tests.retain(|test| *test != caller);
    assert_eq!(tests.len(), all - 1, "{caller} is no test");
    run_tests(workers, &tests, &[]);
}

/// Returns the full names of this program's tests that begin with `prefix`: either the ignored
/// ones, or the others.
fn tests_of(prefix: &str, ignored: bool) -> Vec<String> {
    let list = |args: &[&str]| -> Vec<String> {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--list", "--format=terse"])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "the tests cannot be listed");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
            .filter(|name| name.starts_with(prefix))
            .map(str::to_owned)
            .collect()
    };
    let those_ignored = list(&["--ignored"]);
    if ignored {
        return those_ignored;
    }
    let mut tests = list(&[]);
    tests.retain(|test| !those_ignored.contains(test));
    tests
}

/// Runs these tests of this program, in a process of its own for each of these numbers of workers.
/// All must succeed.
#[track_caller]
fn run_tests(workers: &[&str], tests: &[String], args: &[&str]) {
    for workers in workers {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .arg("--exact")
            .args(args)
            .args(tests)
            .env("GOMAXPROCS", workers)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let starting = no_process_starts();
        let process = command.spawn().unwrap();
        drop(starting);
        let output = process.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let all = format!("running {} test", tests.len());
        assert!(
            output.status.success() && said.contains(&all),
            "GOMAXPROCS={workers}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Returns a guard during whose life [`run_with`] starts no process. A new process has copies of
/// all descriptors until its `exec`, so a socket that is dropped meanwhile is closed later; a test
/// that needs the last drop of a socket to close it holds this guard.
pub fn no_process_starts() -> MutexGuard<'static, ()> {
    static STARTS: Mutex<()> = Mutex::new(());
    STARTS.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// A directory for one test, which is removed with its contents when this is dropped.
pub struct Scratch(PathBuf);

/// Makes a directory whose name contains `name`.
#[track_caller]
pub fn scratch(name: &str) -> Scratch {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = env::temp_dir().join(format!("go-tests-{name}-{}-{count}", std::process::id()));
    std::fs::create_dir(&path).unwrap();
    Scratch(path)
}

impl Scratch {
    /// Returns the directory's path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // On an error the remains stay in the system's temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
