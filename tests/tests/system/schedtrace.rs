//! `GODEBUG=schedtrace`.

use std::env;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use go_runtime::debug::metrics;
use go_runtime::{go, gomaxprocs, yield_now};

use go_tests::support::{child, full_name};

/// A line, taken to pieces.
struct Line {
    milliseconds: u64,
    /// The numbers with a name.
    numbers: Vec<(String, u64)>,
    queues: Vec<u64>,
    ticks: Vec<u64>,
}

impl Line {
    #[track_caller]
    fn parse(line: &str) -> Line {
        let list = |text: &str| -> Vec<u64> {
            text.split_whitespace()
                .map(|n| n.parse().unwrap())
                .collect()
        };
        let (milliseconds, rest) = line
            .strip_prefix("SCHED ")
            .and_then(|rest| rest.split_once("ms: "))
            .unwrap_or_else(|| panic!("{line:?}"));
        let (numbers, rest) = rest.split_once(" [ ").unwrap();
        let (queues, ticks) = rest.split_once(" ] schedticks=[ ").unwrap();
        let number = |item: &str| {
            let (name, number) = item.split_once('=').unwrap();
            (name.to_owned(), number.parse().unwrap())
        };
        Line {
            milliseconds: milliseconds.parse().unwrap(),
            numbers: numbers.split(' ').map(number).collect(),
            queues: list(queues),
            ticks: list(ticks.strip_suffix(" ]").unwrap()),
        }
    }

    fn get(&self, name: &str) -> u64 {
        self.numbers.iter().find(|one| one.0 == name).unwrap().1
    }
}

/// Sleeps, then lets goroutines run, then sleeps again.
#[test]
#[ignore = "run by lines"]
fn traced() {
    go!({}).join().unwrap();
    thread::sleep(Duration::from_millis(300));
    let ended = Arc::new(AtomicBool::new(false));
    let all: Vec<_> = (0..3 * gomaxprocs())
        .map(|_| {
            go!(clone(ended) {
                while !ended.load(Ordering::Relaxed) {
                    yield_now();
                }
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(200));
    ended.store(true, Ordering::Relaxed);
    all.into_iter().for_each(|one| one.join().unwrap());
    println!("threads: {}", metrics().threads);
}

#[test]
fn lines() {
    for workers in ["1", "2", "4", "8", "16"] {
        let variables = [("GOMAXPROCS", workers), ("GODEBUG", "schedtrace=20")];
        let ended = child::succeed("traced", &variables);
        let lines: Vec<_> = ended.err.lines().map(Line::parse).collect();
        assert!(lines.len() >= 5, "{}", ended.all());
        let names = [
            "gomaxprocs",
            "idleprocs",
            "threads",
            "spinningthreads",
            "needspinning",
            "idlethreads",
            "runqueue",
        ];
        let count: u64 = workers.parse().unwrap();
        for line in &lines {
            let found: Vec<_> = line.numbers.iter().map(|one| &one.0).collect();
            assert_eq!(found, names);
            assert_eq!(line.get("gomaxprocs"), count);
            // The workers, the monitor, and the thread that writes the lines.
            assert!(line.get("threads") >= count + 2, "{}", ended.all());
            assert!(line.queues.len() as u64 >= count);
            assert_eq!(line.queues.len(), line.ticks.len());
        }
        assert!(
            lines[0].milliseconds < 20 || lines.len() < 10,
            "{}",
            ended.all()
        );
        for pair in lines.windows(2) {
            assert!(pair[0].milliseconds < pair[1].milliseconds);
        }
        let ticks = |line: &Line| line.ticks.iter().sum::<u64>();
        assert!(ticks(&lines[0]) <= ticks(lines.last().unwrap()));
        // Lines come while all workers sleep, and while all run.
        let all_idle = |line: &Line| line.get("idleprocs") == count;
        assert!(lines.iter().any(all_idle), "{}", ended.all());
        let some_queue = |line: &Line| line.queues.iter().any(|&length| length > 0);
        assert!(lines.iter().any(some_queue), "{}", ended.all());
    }
}

/// A goroutine holds the only worker, and so the monitor has to add one.
#[test]
#[ignore = "run by a_full_pipe_holds_up_nothing"]
fn needs_the_monitor() {
    let (begun, ended) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let hog = go!(clone(begun, ended) {
        begun.store(true, Ordering::Relaxed);
        while !ended.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    while !begun.load(Ordering::Relaxed) {
        thread::yield_now();
    }
    for _ in 0..10 {
        go!({}).join().unwrap();
    }
    ended.store(true, Ordering::Relaxed);
    hog.join().unwrap();
}

#[test]
fn a_full_pipe_holds_up_nothing() {
    let (reader, mut writer) = io::pipe().unwrap();
    let set_flags = |flags: i32| {
        // SAFETY: the descriptor is open, and the call changes only its flags.
        let set = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, flags) };
        assert_eq!(set, 0);
    };
    set_flags(libc::O_NONBLOCK);
    // (Single bytes at the end: a pipe takes a page at a time.)
    for length in [4096, 1] {
        while (&writer).write(&vec![b'.'; length]).is_ok() {}
    }
    set_flags(0);
    writer.flush().unwrap();
    let status = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            &full_name("needs_the_monitor"),
            "--ignored",
            "--nocapture",
        ])
        .env("GODEBUG", "schedtrace=1")
        .env("GOMAXPROCS", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(writer)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    drop(reader);
}
