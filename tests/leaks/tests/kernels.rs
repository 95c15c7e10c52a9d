//! Runs each kernel in a process of its own, as it was and repaired.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::sync::Mutex;
use std::thread;

use go_tests_leaks::kernels;

/// Number of children that run at the same time.
const CHILDREN: usize = 8;

const WORKERS: [&str; 5] = ["1", "2", "4", "8", "16"];

/// What a child has to run.
struct Task {
    name: &'static str,
    version: &'static str,
    workers: &'static str,
}

impl Task {
    /// Returns what the child wrote.
    fn run(&self) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kernel"));
        for variable in ["GOSTACK", "GOTRACEBACK", "RUST_BACKTRACE"] {
            command.env_remove(variable);
        }
        // The runtime's own reports of deadlocks are tested elsewhere.
        command.env("GODEBUG", "deadlock=0");
        command.env("GOMAXPROCS", self.workers);
        let output = command.args([self.name, self.version]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {text}{errors}", output.status))
    }
}

/// Runs the version of each kernel with some numbers of workers, and returns what each child wrote.
#[track_caller]
fn run_all(version: &'static str, of_kernel: fn(usize) -> Vec<&'static str>) -> Vec<Outcome> {
    let mut tasks = Vec::new();
    for (index, kernel) in kernels().enumerate() {
        for workers in of_kernel(index) {
            tasks.push(Task {
                name: kernel.name,
                version,
                workers,
            });
        }
    }
    let tasks = Mutex::new(tasks.into_iter());
    let (outcomes, failures) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    thread::scope(|s| {
        for _ in 0..CHILDREN {
            s.spawn(|| {
                loop {
                    let Some(task) = tasks.lock().unwrap().next() else {
                        return;
                    };
                    let what = format!("{} {version} with {}", task.name, task.workers);
                    let run = || {
                        task.run().map(|text| Outcome {
                            what: what.clone(),
                            text,
                        })
                    };
                    let mut outcome = run();
                    for _ in 1..ATTEMPTS {
                        if outcome.as_ref().is_ok_and(|outcome| !outcome.is_complete()) {
                            outcome = run();
                        }
                    }
                    match outcome {
                        Ok(outcome) => outcomes.lock().unwrap().push(outcome),
                        Err(text) => failures.lock().unwrap().push(format!("{what}: {text}")),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    outcomes.into_inner().unwrap()
}

/// What a child wrote.
struct Outcome {
    what: String,
    text: String,
}

impl Outcome {
    fn is_complete(&self) -> bool {
        let (found, all) = self.found();
        found == all
    }

    /// Returns how many goroutines were found, of how many.
    fn found(&self) -> (usize, usize) {
        let last = self.text.lines().last().expect("a line");
        let counts = last.strip_prefix("found ").expect("the last line");
        let (found, all) = counts.split_once(" of ").expect("two numbers");
        (found.parse().unwrap(), all.parse().unwrap())
    }
}

/// How often a kernel is run, until all its leaks are found: an old copy of an address may hide
/// one, in one run of twenty.
const ATTEMPTS: usize = 3;

/// Each kernel with two numbers of workers, which are others for the next kernel.
fn two_in_turn(index: usize) -> Vec<&'static str> {
    vec![WORKERS[index % 5], WORKERS[(index + 2) % 5]]
}

fn all(_: usize) -> Vec<&'static str> {
    WORKERS.to_vec()
}

#[track_caller]
fn leaks_are_found(of_kernel: fn(usize) -> Vec<&'static str>) {
    let (mut with_leaks, mut complete) = (0, 0);
    for outcome in run_all("leaky", of_kernel) {
        if outcome.found().1 == 0 {
            continue;
        }
        with_leaks += 1;
        if outcome.is_complete() {
            complete += 1;
        } else {
            println!("{}:\n{}", outcome.what, outcome.text);
        }
    }
    println!("{complete} of {with_leaks} runs with all leaks found");
    assert!(with_leaks > 0);
    assert!(
        complete * 10 >= with_leaks * 9,
        "{complete} of {with_leaks}"
    );
}

#[test]
fn leaks_of_kernels_are_found() {
    leaks_are_found(two_in_turn);
}

#[test]
fn repaired_kernels_do_not_leak() {
    run_all("fixed", two_in_turn);
}

#[test]
#[ignore = "takes long"]
fn leaks_of_kernels_are_found_with_any_number_of_workers() {
    for _ in 0..5 {
        leaks_are_found(all);
    }
}

#[test]
#[ignore = "takes long"]
fn repaired_kernels_do_not_leak_with_any_number_of_workers() {
    for _ in 0..5 {
        run_all("fixed", all);
    }
}
