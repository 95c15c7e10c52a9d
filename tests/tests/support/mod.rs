//! What several test targets share: bodies that end or fail, in a goroutine and on a thread, and
//! waits for events.
#![allow(dead_code, reason = "each target uses a part of it")]

use std::env;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::sync::{Mutex, MutexGuard};
use go_runtime::{go, yield_now};

/// A net only: what takes longer is taken for a deadlock.
pub(crate) const NET: Duration = Duration::from_secs(180);

/// Runs `test` in a goroutine, from a thread. A deadlock is a failure and not a test run that
/// hangs.
#[track_caller]
pub(crate) fn in_goroutine<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
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
pub(crate) fn on_thread<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
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
pub(crate) fn in_both<T: Send + 'static>(test: fn() -> T) {
    in_goroutine(test);
    on_thread(test);
}

/// Lets others run until `condition` holds.
#[track_caller]
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < NET, "it never came to be");
        yield_now();
    }
}

/// Lets everybody else on this worker run until they block: for goroutines that were started with
/// `local`.
pub(crate) fn settle() {
    // (Those that are ready and those that have not started take turns, and so do those that only
    // this worker may start and others.)
    for _ in 0..100 {
        yield_now();
    }
}

/// Numbers of workers for tests of what the scheduler decides: one, as many as most machines that
/// test this have processors, and more than they have.
pub(crate) const FEW_AND_MANY: [&str; 5] = ["1", "2", "4", "8", "16"];

/// Runs the ignored tests whose names contain one of `filters` in processes of their own, with few
/// workers and with many.
#[track_caller]
pub(crate) fn at_several_gomaxprocs(filters: &[&str]) {
    let args: Vec<_> = filters.iter().copied().chain(["--ignored"]).collect();
    run_with(&FEW_AND_MANY, &args);
}

/// Runs all tests of the target but the ignored ones and the caller, whose name is `caller`, in
/// processes of their own with each of these numbers of workers.
#[track_caller]
pub(crate) fn whole_target_with(workers: &[&str], caller: &str) {
    run_with(workers, &["--skip", caller]);
}

/// Runs this target with these arguments, in a process of its own for each of these numbers of
/// workers. All must succeed, and there must be a test that runs.
#[track_caller]
pub(crate) fn run_with(workers: &[&str], args: &[&str]) {
    for workers in workers {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(args)
            .env("GOMAXPROCS", workers)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let starting = no_process_starts();
        let process = command.spawn().unwrap();
        drop(starting);
        let output = process.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && !said.contains("running 0 tests"),
            "GOMAXPROCS={workers}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// While this is held, [`run_with`] starts no process. A new process has copies of all descriptors
/// until it has become its program, so a socket that is dropped meanwhile is closed later: tests of
/// what dropping the last handle of a socket does hold this.
pub(crate) fn no_process_starts() -> MutexGuard<'static, ()> {
    static STARTS: Mutex<()> = Mutex::new(());
    STARTS.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// A directory of the test's own, which goes with all that is in it when this is dropped.
pub(crate) struct Scratch(PathBuf);

/// Makes one; `name` is the test's.
#[track_caller]
pub(crate) fn scratch(name: &str) -> Scratch {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = env::temp_dir().join(format!("go-tests-{name}-{}-{count}", std::process::id()));
    std::fs::create_dir(&path).unwrap();
    Scratch(path)
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left over is a temporary directory's.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
