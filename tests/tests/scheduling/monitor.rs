//! Goroutines that hold their worker: unstarted goroutines are started on other workers, and
//! workers come and go.
//!
//! Each test runs in a process of its own, because other tests would keep its few workers busy.
#![cfg(target_os = "linux")]

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use go_runtime::channel::{bounded, unbounded};
use go_runtime::{JoinHandle, go};

use go_tests::support::{self, child, eventually, on_thread};

/// A goroutine that computes until it is told to stop. It runs when `start` returns.
struct Hog {
    stop: Arc<AtomicBool>,
    running: JoinHandle<String>,
}

fn worker_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

fn compute_until(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        hint::spin_loop();
    }
}

/// Computes until the thread has used this much CPU time.
fn compute_for(time: Duration) {
    let start = thread_time();
    while thread_time() - start < time {
        hint::spin_loop();
    }
}

fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `clock_gettime` only writes to `time`, which is valid for that.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0);
    Duration::new(
        time.tv_sec.cast_unsigned(),
        u32::try_from(time.tv_nsec).unwrap(),
    )
}

impl Hog {
    fn start() -> Hog {
        let stop = Arc::new(AtomicBool::new(false));
        let (here, started) = mpsc::channel();
        let running = go!(clone(stop) {
            here.send(()).unwrap();
            compute_until(&stop);
            worker_name()
        });
        started.recv().unwrap();
        Hog { stop, running }
    }

    /// Stops the goroutine, and returns the name of the worker that it held.
    fn stop(self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        self.running.join().unwrap()
    }
}

/// Runs goroutines that spawn others and talk to them.
fn many_do_their_work() {
    let sums = (0..50_u64).map(|i| {
        go!({
            let (tx, rx) = bounded(0);
            for j in 0..20 {
                go!(clone(tx) { tx.send(i * j).unwrap() });
            }
            drop(tx);
            rx.iter().sum::<u64>()
        })
    });
    let sums: Vec<_> = sums.collect();
    let sum: u64 = sums.into_iter().map(|sum| sum.join().unwrap()).sum();
    assert_eq!(sum, (0..50).sum::<u64>() * (0..20).sum::<u64>());
}

#[test]
#[ignore = "run by what_has_not_started_goes_on"]
fn beside_hogs() {
    on_thread(|| {
        let hogs: Vec<_> = (0..3).map(|_| Hog::start()).collect();
        many_do_their_work();
        for hog in hogs {
            hog.stop();
        }
        many_do_their_work();
    });
}

/// The goroutines that a hog itself has spawned wait in the queue of the worker that it holds.
#[test]
#[ignore = "run by what_has_not_started_goes_on"]
fn children_of_a_hog() {
    on_thread(|| {
        let (tx, rx) = unbounded();
        let stop = Arc::new(AtomicBool::new(false));
        let hog = go!(clone(stop) {
            for i in 0..100 {
                go!(clone(tx) { tx.send(i).unwrap() });
            }
            drop(tx);
            compute_until(&stop);
        });
        assert_eq!(rx.iter().sum::<i32>(), (0..100).sum());
        stop.store(true, Ordering::Relaxed);
        hog.join().unwrap();
    });
}

/// Goroutines block in the system, each waiting for a message that only a later goroutine sends.
#[test]
#[ignore = "run by what_has_not_started_goes_on"]
fn a_chain_of_blocked_threads() {
    on_thread(|| {
        let (first, mut source) = mpsc::channel();
        let mut links = Vec::new();
        for _ in 0..12 {
            let (next, later) = mpsc::channel();
            let before = std::mem::replace(&mut source, later);
            let link = go!(move || next.send(before.recv().unwrap() + 1).unwrap());
            links.push(link);
        }
        let start = go!(move || first.send(0).unwrap());
        assert_eq!(source.recv(), Ok(12));
        start.join().unwrap();
        links.into_iter().for_each(|link| link.join().unwrap());
    });
}

#[test]
fn what_has_not_started_goes_on() {
    child::succeed_with_few_and_many(&[
        "beside_hogs",
        "children_of_a_hog",
        "a_chain_of_blocked_threads",
    ]);
}

/// With one worker, an extra worker is started. The extra worker retires when it is not needed, but
/// continues with the goroutines that have started there. It is used again later.
#[test]
#[ignore = "run by an_extra_worker_retires"]
fn extra_worker() {
    on_thread(|| {
        for _ in 0..3 {
            let hog = Hog::start();
            let (ask, questions) = bounded::<()>(0);
            let (tell, answers) = bounded(0);
            let started_meanwhile = go! {
                for () in &questions {
                    let child = go!(worker_name()).join().unwrap();
                    tell.send((worker_name(), child)).unwrap();
                }
            };
            let answer = || {
                ask.send(()).unwrap();
                answers.recv().unwrap()
            };
            let (place, child) = answer();
            let held = hog.stop();
            assert!(place != held && child != held, "{place}, {child}, {held}");
            // The extra worker continues with its goroutine. When it has retired the first worker
            // starts all new ones.
            eventually(|| (0..200).all(|_| answer() == (place.clone(), "go-worker-0".into())));
            drop(ask);
            started_meanwhile.join().unwrap();
        }
    });
}

#[test]
fn an_extra_worker_retires() {
    child::succeed("extra_worker", &[("GOMAXPROCS", "1")]);
}

#[test]
#[ignore = "run by culprits_are_named_once"]
fn culprits() {
    let lines = std::env::var_os("GODEBUG").map(|_| stderr_lines());
    on_thread(move || {
        let (stop, done) = bounded::<()>(0);
        let parked = go!(done.recv());
        // Returns whether no report names this line that should.
        let is_unnamed = |line: u32| {
            let site = format!("spawned at {}:{line}:", file!());
            let lines = lines.as_ref();
            lines.is_some_and(|lines| !lines.try_iter().any(|report| report.contains(&site)))
        };
        // Each of the two holds the worker a few times, and until a report has named it: on a
        // loaded machine the monitor may come too late for one of them.
        let mut times = 0;
        let mut site = 0;
        while times < 3 || is_unnamed(site) {
            // Only when the monitor notices that a goroutine blocks is the other goroutine, for
            // which it waits, started elsewhere.
            let (tx, rx) = mpsc::channel();
            site = line!() + 1;
            let blocked = go!(move || rx.recv().unwrap());
            go!(tx.send(()).unwrap()).join().unwrap();
            blocked.join().unwrap();
            times += 1;
        }
        drop(stop);
        assert!(parked.join().unwrap().is_err());
        many_do_their_work();
        let mut times = 0;
        while times < 2 || is_unnamed(site) {
            // Computes long enough for the monitor to notice it several times.
            site = line!() + 1;
            go!(compute_for(Duration::from_millis(60))).join().unwrap();
            times += 1;
        }
    });
}

#[test]
fn culprits_are_named_once() {
    let site = |line: &str| {
        let line = line
            .strip_prefix("go-runtime: the goroutine spawned at ")
            .unwrap_or_else(|| panic!("{line}"));
        line.split_once(" has held its worker for ")
            .unwrap()
            .0
            .to_owned()
    };
    let said = child::succeed("culprits", &[("GOMAXPROCS", "1"), ("GODEBUG", "slow")]).err;
    let reports = said.lines().filter(|line| line.starts_with("go-runtime: "));
    let mut sites: Vec<_> = reports.map(site).collect();
    let count = sites.len();
    sites.sort();
    sites.dedup();
    // (On a loaded machine other goroutines may have held their worker too.)
    assert!(sites.len() >= 2 && count == sites.len(), "{said}");
    let silent = child::succeed("culprits", &[("GOMAXPROCS", "1")]).err;
    assert_eq!(silent, "");
}

/// Blocks the thread until a message comes from `told`.
fn block_and_wait(told: &mpsc::Receiver<()>) {
    told.recv().unwrap();
}

/// Starts a goroutine that keeps its worker's timers and queues in use, so that something always
/// waits for the worker.
fn ticker(stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let stop = Arc::clone(stop);
    go!({
        while !stop.load(Ordering::Relaxed) {
            go_runtime::time::sleep(Duration::from_millis(1));
        }
    })
}

/// Replaces this process's stderr by a pipe, and passes its lines on to the real one and to the
/// returned channel.
fn stderr_lines() -> mpsc::Receiver<String> {
    use std::io::{BufRead, BufReader, PipeReader, Write};
    use std::os::fd::{AsRawFd, FromRawFd};
    let (reader, writer): (PipeReader, _) = std::io::pipe().unwrap();
    // SAFETY: both descriptors are open. This file owns the copy, which nothing else closes; the
    // replaced descriptor stays stderr's.
    let mut real = unsafe {
        let copy = libc::dup(libc::STDERR_FILENO);
        assert!(libc::dup2(writer.as_raw_fd(), libc::STDERR_FILENO) >= 0);
        std::fs::File::from_raw_fd(copy)
    };
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(reader).lines() {
            let line = line.unwrap();
            writeln!(real, "{line}").unwrap();
            let _ = tx.send(line);
        }
    });
    rx
}

/// Waits for the report of a blocked worker.
#[track_caller]
fn reported(lines: &mpsc::Receiver<String>) {
    let report = |line: &String| line.starts_with("go-runtime: ");
    while !report(&lines.recv_timeout(support::NET).unwrap()) {}
}

#[test]
#[ignore = "run by a_blocked_worker_says_so"]
fn blocks() {
    let lines = stderr_lines();
    on_thread(move || {
        let stop = Arc::new(AtomicBool::new(false));
        let ticker = ticker(&stop);
        let (tell, told) = mpsc::channel();
        let blocked = go!(name = "the culprit"; move || block_and_wait(&told));
        reported(&lines);
        tell.send(()).unwrap();
        blocked.join().unwrap();
        // Blocks in another place: a read.
        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let reading = go!({
            use std::io::Read;
            let mut byte = [0];
            (&theirs).read_exact(&mut byte).unwrap();
        });
        reported(&lines);
        std::io::Write::write_all(&mut ours, b"x").unwrap();
        reading.join().unwrap();
        stop.store(true, Ordering::Relaxed);
        ticker.join().unwrap();
    });
}

#[test]
#[ignore = "run by a_blocked_worker_says_so"]
fn blocks_in_ways_of_ours() {
    let lines = stderr_lines();
    on_thread(move || {
        let stop = Arc::new(AtomicBool::new(false));
        let ticker = ticker(&stop);
        let (tx, rx) = bounded::<()>(0);
        let region = go!({ go_runtime::without_parking(|| rx.recv().unwrap()) });
        reported(&lines);
        tx.send(()).unwrap();
        region.join().unwrap();
        let (tx, rx) = bounded::<()>(0);
        std::panic::set_hook(Box::new(move |_| {
            let _ = rx.recv();
        }));
        let hook = go!({ panic!("expected") });
        reported(&lines);
        tx.send(()).unwrap();
        assert!(hook.join().is_err());
        stop.store(true, Ordering::Relaxed);
        ticker.join().unwrap();
    });
}

/// Blocks with the report switched off.
#[test]
#[ignore = "run by a_blocked_worker_says_so"]
fn blocks_silently() {
    on_thread(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let ticker = ticker(&stop);
        go!({ thread::sleep(Duration::from_millis(1200)) })
            .join()
            .unwrap();
        stop.store(true, Ordering::Relaxed);
        ticker.join().unwrap();
    });
}

#[test]
#[ignore = "run by a_blocked_worker_says_so"]
fn blocks_nobody() {
    on_thread(|| {
        // Neither a goroutine that is parked for good nor one whose timer was removed waits for the
        // worker.
        let (stop, done) = bounded::<()>(0);
        let (first, is_first) = mpsc::channel();
        let parked = go!(move || {
            assert!(done.recv_timeout(Duration::from_millis(1)).is_err());
            first.send(()).unwrap();
            assert!(done.recv_timeout(Duration::from_secs(3600)).is_err());
        });
        is_first.recv().unwrap();
        let (tell, told) = mpsc::channel();
        let blocked = go!(move || block_and_wait(&told));
        thread::sleep(Duration::from_millis(1200));
        tell.send(()).unwrap();
        blocked.join().unwrap();
        // A goroutine that computes is not blocked.
        let stop_ticker = Arc::new(AtomicBool::new(false));
        let ticker = ticker(&stop_ticker);
        let hog = Hog::start();
        thread::sleep(Duration::from_millis(1200));
        hog.stop();
        stop_ticker.store(true, Ordering::Relaxed);
        ticker.join().unwrap();
        drop(stop);
        parked.join().unwrap();
    });
}

#[test]
fn a_blocked_worker_says_so() {
    let one = ("GOMAXPROCS", "1");
    let children = [
        ("blocks", vec![one]),
        ("blocks_in_ways_of_ours", vec![one]),
        ("blocks_nobody", vec![one]),
        ("blocks_silently", vec![one, ("GODEBUG", "slow=0")]),
    ];
    // The children run at the same time, since each of them takes seconds.
    let children = children
        .map(|(test, variables)| thread::spawn(move || child::succeed(test, &variables).err));
    let said = children.map(|child| child.join().unwrap());
    for part in [
        "the goroutine 'the culprit', spawned at tests/tests/scheduling/monitor.rs:",
        "in the system call futex: at least 1 goroutine that could run on that worker waits, and \
         1 in all have started there. It waits for a lock",
        "in the system call recvfrom of descriptor ",
        "Use a type of go_runtime's that parks instead",
        "go_runtime::blocking",
        "go!(thread; ...)",
        "GODEBUG=slow=0",
    ] {
        assert!(said[0].contains(part), "{part}: {}", said[0]);
    }
    assert_eq!(said[0].lines().count(), 2, "{}", said[0]);
    for part in [
        "within without_parking: at least 1 goroutine",
        "while it panics (in a panic hook or a Drop): at least 1 goroutine",
        "neither a panic hook nor a Drop",
    ] {
        assert!(said[1].contains(part), "{part}: {}", said[1]);
    }
    assert_eq!((said[2].as_str(), said[3].as_str()), ("", ""));
}

/// Gives the worker time to fall asleep: up to some tens of µs, and different in each round, so
/// that spawns meet the worker at each step on its way. The loop only computes: a thread that
/// yielded to the system would wait for other processes on a busy machine.
fn pause_as_long_as(round: u32) {
    (0..round % 50 * 40).for_each(|_| hint::spin_loop());
}

/// A goroutine is started if it is spawned just after a worker was released and has fallen asleep.
#[test]
#[ignore = "run by a_worker_that_was_held_is_called"]
fn after_a_hold() {
    on_thread(|| {
        for _ in 0..20 {
            let hog = Hog::start();
            many_do_their_work();
            hog.stop();
            for round in 0..500 {
                go!({}).join().unwrap();
                pause_as_long_as(round);
            }
        }
    });
}

/// The same without an extra worker, because nothing waits while the worker is held.
#[test]
#[ignore = "run by a_worker_that_was_held_is_called"]
fn after_a_quiet_hold() {
    on_thread(|| {
        for _ in 0..20 {
            go!(compute_for(Duration::from_millis(30))).join().unwrap();
            for round in 0..500 {
                go!({}).join().unwrap();
                pause_as_long_as(round);
            }
        }
    });
}

#[test]
fn a_worker_that_was_held_is_called() {
    child::succeed_with_few_and_many(&["after_a_hold", "after_a_quiet_hold"]);
}

/// Chains of goroutines, each of which spawns its successor, never let a worker's own queue become
/// empty. Other goroutines run all the same.
#[test]
#[ignore = "run by chains_keep_nobody_out"]
fn beside_a_chain() {
    fn link(stop: Arc<AtomicBool>) {
        if !stop.load(Ordering::Relaxed) {
            go!(link(stop));
        }
    }
    on_thread(|| {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..4 {
            go!(link(Arc::clone(&stop)));
        }
        // A thread spawns one goroutine, and a goroutine spawns more than fit into a worker's own
        // queue.
        go!({}).join().unwrap();
        let (tx, rx) = unbounded::<i32>();
        go! {
            for n in 0..6000 {
                go!(clone(tx) { tx.send(n).unwrap() });
            }
        }
        .join()
        .unwrap();
        // The oldest goroutine is started once in a millisecond, so the test awaits only some of
        // them beside the chains.
        let beside_chains: i32 = rx.iter().take(500).sum();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(beside_chains + rx.iter().sum::<i32>(), (0..6000).sum());
    });
}

#[test]
fn chains_keep_nobody_out() {
    child::succeed_with_few_and_many(&["beside_a_chain"]);
}
