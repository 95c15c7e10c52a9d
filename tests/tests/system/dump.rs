//! What a dump says of goroutines beside what they wait for: which goroutine has spawned them, and
//! that they hold their worker; and dumps of very many.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, PipeReader, Read, Write, pipe};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{Receiver, bounded};
use go_runtime::debug::{DumpOptions, Goroutine, GoroutineState, dump, goroutines};
use go_runtime::{Builder, go, scope, time};

use go_tests::support::programs::Folder;
use go_tests::support::{child, eventually, in_goroutine};

fn find(name: &str) -> Option<Goroutine> {
    let is_it = |one: &Goroutine| one.name() == Some(name);
    goroutines().into_iter().find(is_it)
}

/// Returns the goroutine of that name as soon as it is there and `is_right`.
#[track_caller]
fn find_when(name: &str, is_right: impl Fn(&Goroutine) -> bool) -> Goroutine {
    let mut found = None;
    eventually(|| {
        found = find(name).filter(&is_right);
        found.is_some()
    });
    found.unwrap()
}

fn dumped(options: DumpOptions) -> String {
    let mut text = Vec::new();
    dump(&mut text, options).unwrap();
    String::from_utf8(text).unwrap()
}

type Site = &'static Location<'static>;

/// Spawns a goroutine that waits, in some way, and returns where that was.
#[track_caller]
fn spawn(name: &str, how: &str, done: &Receiver<()>) -> Site {
    let done = done.clone();
    let wait = move || done.recv().unwrap_or(());
    let builder = Builder::new().name(name);
    drop(match how {
        "local" => builder.spawn_local(wait).unwrap(),
        "thread" => builder.thread().spawn(wait).unwrap(),
        _ => builder.spawn(wait).unwrap(),
    });
    Location::caller()
}

/// Checks where the goroutine was spawned that has spawned this one.
#[track_caller]
fn has_spawner(name: &str, spawner: Option<Site>) {
    let one = find_when(name, |one| {
        matches!(one.state(), GoroutineState::Waiting(_))
    });
    assert_eq!(one.spawner(), spawner, "{one}");
    let last = one.to_string();
    let last = last.lines().last().unwrap();
    match spawner {
        Some(site) => assert_eq!(last, format!("\tby the goroutine created at {site}")),
        None => assert!(last.starts_with("created at "), "{one}"),
    }
}

#[test]
fn the_spawner_of_a_goroutine() {
    let (stop, done) = bounded::<()>(0);
    for how in ["plain", "thread"] {
        let name = format!("spawned by a thread, {how}");
        spawn(&name, how, &done);
        has_spawner(&name, None);
    }
    for parent in ["goroutine", "thread goroutine", "with a name"] {
        let done = done.clone();
        let builder = match parent {
            "thread goroutine" => Builder::new().thread(),
            "with a name" => Builder::new().name("parent"),
            _ => Builder::new(),
        };
        let (site, parents) = bounded::<()>(0);
        let line = line!() + 1;
        let handle = builder.spawn(move || {
            let name = |how: &str| format!("spawned by {parent}, {how}");
            let hows = match parent {
                "thread goroutine" => &["plain", "thread"][..],
                _ => &["plain", "thread", "local"],
            };
            for how in hows {
                spawn(&name(how), how, &done);
            }
            // The goroutine may end before the others are looked at.
            drop(site);
            hows.iter().map(|how| name(how)).collect::<Vec<_>>()
        });
        parents.recv().unwrap_err();
        for name in handle.unwrap().join().unwrap() {
            let waits = |one: &Goroutine| matches!(one.state(), GoroutineState::Waiting(_));
            let spawner = find_when(&name, waits).spawner().unwrap();
            assert_eq!((spawner.file(), spawner.line()), (file!(), line), "{name}");
            has_spawner(&name, Some(spawner));
        }
    }
    drop(stop);
}

/// A timer's goroutine is spawned by the one that has set the timer, not by the one that runs when
/// the time has come.
#[test]
fn the_spawner_of_a_timer() {
    let (stop, done) = bounded::<()>(0);
    let (started, start) = bounded::<()>(1);
    let line = line!() + 1;
    let sets = go! {
        time::after_func(Duration::from_millis(1), move || {
            started.send(()).unwrap();
            let _ = done.recv();
        })
    };
    let timer = sets.join().unwrap();
    start.recv().unwrap();
    let is_it = |one: &Goroutine| {
        one.spawner()
            .is_some_and(|site| (site.file(), site.line()) == (file!(), line))
    };
    eventually(|| goroutines().iter().any(is_it));
    drop((stop, timer));
}

/// On one stack, goroutines with and without a spawner follow each other.
#[test]
fn a_spawner_does_not_stay_on_the_stack() {
    in_goroutine(|| {
        for round in 0..100 {
            let (stop, done) = bounded::<()>(0);
            let name = format!("follows {round}");
            if round % 2 == 0 {
                let site = spawn(&name, "plain", &done);
                let one = find_when(&name, |one| one.spawned_at() == Some(site));
                assert!(one.spawner().is_some());
            } else {
                let spawn = || spawn(&name, "plain", &done);
                thread::scope(|s| s.spawn(spawn).join().unwrap());
                let one = find_when(&name, |_| true);
                assert_eq!(one.spawner(), None);
            }
            drop(stop);
            eventually(|| find(&name).is_none());
        }
    });
}

/// Reads from a pipe, as code of another crate would.
fn read_from(mut pipe: PipeReader) {
    assert_eq!(pipe.read(&mut [0]).unwrap(), 0);
}

#[test]
#[ignore = "run by what_holds_a_worker"]
fn held_by_a_read() {
    let (reader, writer) = pipe().unwrap();
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&reader);
    let reads = Builder::new()
        .name("reads")
        .spawn(move || read_from(reader));
    let call = format!("read of descriptor {descriptor}");
    let held = |one: &Goroutine| {
        one.state() == GoroutineState::Running
            && one.holds_worker_for() >= Some(Duration::from_millis(20))
            && one.system_call() == Some(&*call)
    };
    let one = find_when("reads", held);
    let text = one.to_string();
    let worker = one.worker().unwrap();
    let start = format!(
        "goroutine {} [running, has held worker {worker} for ",
        one.number()
    );
    assert!(text.starts_with(&start), "{text}");
    let end = format!(", in {call}] {{name: reads}}:");
    assert!(text.lines().next().unwrap().ends_with(&end), "{text}");
    // It takes time until it is longer than a second.
    let long = |one: &Goroutine| one.holds_worker_for() >= Some(Duration::from_secs(1));
    let text = find_when("reads", long).to_string();
    assert!(text.contains(" s, in read "), "{text}");
    drop(writer);
    reads.unwrap().join().unwrap();
}

#[test]
#[ignore = "run by what_holds_a_worker"]
fn held_by_a_computation() {
    let stop = Arc::new(AtomicBool::new(false));
    let computes = Builder::new().name("computes");
    let stopped = Arc::clone(&stop);
    let computes = computes.spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    let one = find_when("computes", |one| one.holds_worker_for().is_some());
    assert_eq!(one.system_call(), None, "{one}");
    stop.store(true, Ordering::Relaxed);
    computes.unwrap().join().unwrap();
}

/// In processes of their own: other tests need the worker.
#[test]
fn what_holds_a_worker() {
    child::succeed_with_few_and_many(&["held_by_a_read", "held_by_a_computation"]);
}

#[test]
fn a_thread_goroutine_in_a_system_call() {
    let (reader, writer) = pipe().unwrap();
    let reads = Builder::new().name("thread reads").thread();
    let reads = reads.spawn(move || read_from(reader)).unwrap();
    let one = find_when("thread reads", |one| one.system_call().is_some());
    assert_eq!((one.worker(), one.holds_worker_for()), (None, None));
    let head = one.to_string();
    let head = head.lines().next().unwrap();
    assert!(head.contains(" [running, in read of descriptor "), "{head}");
    assert!(
        head.ends_with(", locked to thread] {name: thread reads}:"),
        "{head}"
    );
    drop(writer);
    reads.join().unwrap();
}

/// Those that hold workers are listed, however many others there are.
#[test]
#[ignore = "run by held_workers_among_many"]
fn held_among_many() {
    let (stop, done) = bounded::<()>(0);
    let line = line!() + 1;
    let parent = go!(clone(done) {
        for _ in 0..2000 {
            go!(clone(done) { done.recv() });
        }
        let _ = done.recv();
    });
    for _ in 0..500 {
        go!(clone(done) { done.recv() });
    }
    let (reader, writer) = pipe().unwrap();
    let reads = Builder::new()
        .name("reads")
        .spawn(move || read_from(reader));
    let mut text = String::new();
    eventually(|| {
        text = dumped(DumpOptions::new().frames(false));
        text.contains("2000 goroutines [chan receive]:\n")
            && text.contains("500 goroutines [chan receive]:\n")
            && text.contains(" [running, has held worker ")
    });
    let spawner = format!("\n\tby the goroutine created at {}:{line}:", file!());
    assert_eq!(text.matches(&spawner).count(), 1, "{text}");
    drop((stop, writer));
    parent.join().unwrap();
    reads.unwrap().join().unwrap();
}

#[test]
fn held_workers_among_many() {
    child::succeed_with_few_and_many(&["held_among_many"]);
}

/// All of more than a thousand goroutines are written, while others come and go.
#[test]
#[ignore = "run by all_of_many_are_written"]
fn all_of_many() {
    const MANY: usize = 5000;
    let (stop, done) = bounded::<()>(0);
    for n in 0..MANY {
        let done = done.clone();
        let builder = Builder::new().name(format!("of many {n}"));
        drop(builder.spawn(move || done.recv()).unwrap());
    }
    let ended = Arc::new(AtomicBool::new(false));
    let come_and_go = go!(clone(ended) {
        while !ended.load(Ordering::Relaxed) {
            scope(|s| {
                for _ in 0..100 {
                    s.spawn(|| time::sleep(Duration::from_micros(50)));
                }
            });
        }
    });
    eventually(|| {
        goroutines()
            .iter()
            .filter(|one| one.object().is_some())
            .count()
            >= MANY
    });
    let text = dumped(DumpOptions::new().all(true).frames(false));
    let heads = text
        .lines()
        .filter(|line| line.contains(" [chan receive] {name: of many "));
    let names: BTreeSet<_> = heads
        .clone()
        .filter_map(|head| head.split_once('{'))
        .collect();
    assert_eq!((heads.count(), names.len()), (MANY, MANY));
    ended.store(true, Ordering::Relaxed);
    come_and_go.join().unwrap();
    drop(stop);
}

#[test]
fn all_of_many_are_written() {
    child::succeed_with_few_and_many(&["all_of_many"]);
}

/// A writer that takes its time does not keep goroutines from starting.
#[test]
fn goroutines_start_while_a_dump_is_written() {
    struct Spawns;
    impl Write for Spawns {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Larger than a pooled stack, so it is a new one.
            let large = Builder::new().stack_size(1 << 20).spawn(|| {});
            large.unwrap().join().unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for all in [false, true] {
        let options = DumpOptions::new().all(all).frames(false);
        let mut writer = BufWriter::with_capacity(1 << 16, Spawns);
        dump(&mut writer, options).unwrap();
        writer.flush().unwrap();
    }
}

// --- very many ---

/// Counts what is written.
struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the memory that is resident now, in KiB, and the most that has been since the last call.
fn resident() -> (usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let [now, most] = ["VmRSS:", "VmHWM:"].map(|key| {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    });
    (now, most)
}

/// Makes a dump, and prints the time and the memory in KiB that it takes. Returns the memory.
fn measure(what: &str, writer: &mut dyn Write, options: DumpOptions) -> usize {
    let (before, _) = resident();
    let since = Instant::now();
    dump(writer, options).unwrap();
    writer.flush().unwrap();
    let took = since.elapsed();
    let (_, most) = resident();
    let grown = most.saturating_sub(before);
    println!("{what}: {} ms, {grown} KiB more memory", took.as_millis());
    grown
}

/// Parks so many goroutines as `DUMP_GOROUTINES` says, and dumps them.
#[test]
#[ignore = "run by a_dump_of_very_many; long with a million"]
fn very_many() {
    let count: usize = std::env::var("DUMP_GOROUTINES").map_or(1_000_000, |n| n.parse().unwrap());
    let (stop, done) = bounded::<()>(0);
    // The first dump with frames reads the program's debug information.
    let first = Builder::new().name("the first");
    let _first = first.spawn({
        let done = done.clone();
        move || done.recv()
    });
    find_when("the first", |one| one.object().is_some());
    measure(
        "one goroutine, with frames",
        &mut Counter(0),
        DumpOptions::new(),
    );
    let waiting = Arc::new(AtomicUsize::new(0));
    drop(go!(clone(done, waiting) {
        for n in 0..count {
            let (done, waiting) = (done.clone(), Arc::clone(&waiting));
            let wait = move || {
                waiting.fetch_add(1, Ordering::Relaxed);
                let _ = done.recv();
            };
            // Every hundredth has a name.
            drop(match n % 100 {
                0 => Builder::new().name(format!("crowd {n}")).spawn(wait).unwrap(),
                _ => go_runtime::spawn(wait),
            });
        }
    }));
    eventually(|| waiting.load(Ordering::Relaxed) == count);
    let folder = Folder::create();
    for all in [false, true] {
        for frames in [false, true] {
            let options = DumpOptions::new().all(all).frames(frames);
            let what = match (all, frames) {
                (false, false) => "grouped",
                (false, true) => "grouped, with frames",
                (true, false) => "all",
                (true, true) => "all, with frames",
            };
            let mut sink = Counter(0);
            let mut file = BufWriter::new(File::create(folder.path().join("dump")).unwrap());
            let grown = [
                measure(&format!("{what}, to a sink"), &mut sink, options),
                measure(&format!("{what}, to a file"), &mut file, options),
            ];
            assert!(grown.iter().all(|grown| *grown <= 64 << 10), "{grown:?}");
            assert_eq!(sink.0 > 80 * count, all);
        }
    }
    // Goroutines start and end while a dump is made.
    let dumps = Arc::new(AtomicBool::new(true));
    let dumping = Arc::clone(&dumps);
    let spawns = go! {
        let (mut longest, mut spawned) = (Duration::ZERO, 0);
        while dumping.load(Ordering::Relaxed) {
            let since = Instant::now();
            go_runtime::spawn(|| {}).join().unwrap();
            longest = longest.max(since.elapsed());
            spawned += 1;
        }
        (longest, spawned)
    };
    dump(&mut Counter(0), DumpOptions::new()).unwrap();
    dumps.store(false, Ordering::Relaxed);
    let (longest, spawned) = spawns.join().unwrap();
    println!(
        "meanwhile {spawned} spawns and joins, the longest {} us",
        longest.as_micros()
    );
    drop(stop);
}

#[test]
fn a_dump_of_very_many() {
    child::succeed("very_many", &[("DUMP_GOROUTINES", "20000")]);
}
