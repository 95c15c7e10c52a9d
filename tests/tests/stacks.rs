//! Stacks: their sizes, how deep they really are, and what becomes of their memory.
//!
//! What measures a whole process is an ignored test that another one runs in a child.
#![cfg(target_os = "linux")]

#[path = "support/child.rs"]
mod child;
mod support;

use std::fmt::Debug;
use std::fs;
use std::hint::black_box;
use std::io::{self, ErrorKind};
use std::panic;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use go_runtime::channel::{Receiver, Sender, bounded, unbounded};
use go_runtime::{Builder, JoinHandle, go, num_goroutine};

use support::{NET, eventually};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
/// The default size.
const DEFAULT: usize = 256 * KIB;

// --- going deep ---

/// What a descent brings back.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    levels: u64,
    sum: u64,
}

const WORDS: usize = 16;

fn next_seed(seed: u64) -> u64 {
    seed.wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
}

/// Goes down until a local lies `depth` bytes below `top`, runs `there`, and comes back with the sum of what the frames held.
#[inline(never)]
fn descend(top: usize, depth: usize, seed: u64, there: &mut dyn FnMut()) -> Found {
    let mut frame = [seed; WORDS];
    black_box(&mut frame);
    let mut found = if top - frame.as_ptr().addr() < depth {
        descend(top, depth, next_seed(seed), there)
    } else {
        there();
        Found { levels: 0, sum: 0 }
    };
    found.levels += 1;
    for word in black_box(&frame) {
        found.sum = found.sum.wrapping_add(*word);
    }
    found
}

/// Uses `depth` bytes of the stack that it is called on, and runs `there` when it is that deep.
#[inline(never)]
fn go_deep(depth: usize, mut there: impl FnMut()) {
    let top = 0_u8;
    let seed = 1;
    let found = descend((&raw const top).addr(), depth, seed, &mut there);
    let mut expected = 0_u64;
    let mut word = seed;
    for _ in 0..found.levels {
        expected = expected.wrapping_add(word.wrapping_mul(WORDS as u64));
        word = next_seed(word);
    }
    assert!(found.levels as usize * size_of::<[u64; WORDS]>() < depth + KIB);
    assert_eq!(found.sum, expected, "a frame was changed");
}

#[test]
fn the_default_stack_is_deep_enough() {
    go!(go_deep(200 * KIB, || ())).join().unwrap();
}

/// All are deep at the same time, so that one that runs into another one's stack is seen.
#[test]
fn many_deep_stacks_at_once() {
    let crowd = Crowd::gather(200, Builder::new, 200 * KIB);
    crowd.disperse();
}

#[test]
fn deep_stacks_of_local_goroutines() {
    go! {
        let (stop, done) = bounded::<()>(0);
        let spawn = |_| {
            let done = done.clone();
            go!(local; go_deep(200 * KIB, move || assert!(done.recv().is_err())))
        };
        let deep: Vec<_> = (0..50).map(spawn).collect();
        support::settle();
        drop(stop);
        for handle in deep {
            handle.join().unwrap();
        }
    }
    .join()
    .unwrap();
}

#[test]
fn stacks_of_many_sizes() {
    // What is rounded up can be used up to there.
    let sizes = [
        (32 * KIB, 32 * KIB),
        (64 * KIB, 64 * KIB),
        (100_000, 128 * KIB),
        (MIB, MIB),
        (8 * MIB, 8 * MIB),
    ];
    for (size, real) in sizes {
        let depth = real - 16 * KIB;
        go!(stack_size = size; go_deep(depth, || ()))
            .join()
            .unwrap();
        let few = Crowd::gather(4, || Builder::new().stack_size(size), depth);
        few.disperse();
    }
}

#[test]
fn the_largest_stack() {
    go!(stack_size = GIB; go_deep(64 * MIB, || ()))
        .join()
        .unwrap();
    // Several: only what is touched takes memory.
    let few = Crowd::gather(4, || Builder::new().stack_size(GIB), 4 * MIB);
    few.disperse();
}

// --- sizes that cannot be ---

const RANGE: [&str; 2] = ["32 KiB", "1 GiB"];

#[test]
fn impossible_sizes_are_refused() {
    for size in [0, 3, 32 * KIB - 1, GIB + 1, usize::MAX] {
        let error = Builder::new().stack_size(size).spawn(|| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let said = error.to_string();
        for part in RANGE.iter().copied().chain([&*size.to_string()]) {
            assert!(said.contains(part), "{part}: {said}");
        }
        let panic = panic::catch_unwind(|| go!(stack_size = size; {})).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains(&said), "{message}");
    }
    let panic = panic::catch_unwind(|| go!(stack_size = 3; {})).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("3 bytes"), "{message}");
    for part in RANGE {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
#[ignore = "run by gostack_is_checked"]
fn starts() {
    go!({}).join().unwrap();
}

#[test]
#[ignore = "run by gostack_is_checked"]
fn starts_with_main() {
    #[go_runtime::main]
    fn main() {}
    assert_eq!(main(), std::process::ExitCode::SUCCESS);
}

#[test]
fn gostack_is_checked() {
    for size in [
        "abc",
        "3",
        "32767",
        "2147483648",
        "-1",
        "99999999999999999999",
        "256K",
    ] {
        for test in ["starts", "starts_with_main"] {
            let ended = child::run(test, &[("GOSTACK", size)]);
            assert_eq!(ended.status.code(), Some(101), "{}", ended.all());
            ended.says(&["GOSTACK=", size]).says(&RANGE);
        }
    }
    for size in ["32768", "1073741824", " 65536 ", ""] {
        for test in ["starts", "starts_with_main"] {
            child::succeed(test, &[("GOSTACK", size)]);
        }
    }
}

// --- crowds ---

/// Goroutines that are all blocked, until they are let go.
struct Crowd {
    stop: Sender<()>,
    handles: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// So many goroutines, each blocked as deep in its stack. Returns when all are.
    #[track_caller]
    fn gather(count: usize, builder: impl Fn() -> Builder, depth: usize) -> Crowd {
        let (stop, done) = bounded::<()>(0);
        let (arrive, arrived) = unbounded();
        let spawn = |_| {
            let (done, arrive): (Receiver<()>, Sender<()>) = (done.clone(), arrive.clone());
            let wait = move || {
                arrive.send(()).unwrap();
                assert!(done.recv().is_err());
            };
            builder().spawn(move || go_deep(depth, &wait)).unwrap()
        };
        let handles = (0..count).map(spawn).collect();
        assert_eq!(arrived.iter().take(count).count(), count);
        Crowd { stop, handles }
    }

    /// Lets all go, and sees that all end well.
    #[track_caller]
    fn disperse(self) {
        drop(self.stop);
        for handle in self.handles {
            handle.join().unwrap();
        }
    }
}

// --- what the process takes ---

/// A line of this process's status, in KiB.
fn status(field: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count()
}

#[derive(Debug, Clone, Copy)]
struct Usage {
    mappings: usize,
    resident_kib: usize,
    tables_kib: usize,
}

impl Usage {
    fn now() -> Usage {
        Usage {
            mappings: mappings(),
            resident_kib: status("VmRSS"),
            tables_kib: status("VmPTE"),
        }
    }

    /// What a process takes whose runtime has started, and has run a few goroutines.
    fn at_start() -> Usage {
        Crowd::gather(8, Builder::new, 4 * KIB).disperse();
        Usage::now()
    }

    /// Waits until the process takes at most as much as this, and `more`.
    #[track_caller]
    fn comes_back(self, more: Usage) {
        let mut now = Usage::now();
        let begun = Instant::now();
        while now.mappings > self.mappings + more.mappings
            || now.resident_kib > self.resident_kib + more.resident_kib
            || now.tables_kib > self.tables_kib + more.tables_kib
        {
            // Sooner than the parent loses its patience, so that this is seen.
            assert!(
                begun.elapsed() < NET / 3,
                "it stays: {self:?} at the start, {more:?} more is allowed, but {now:?}"
            );
            thread::yield_now();
            now = Usage::now();
        }
    }
}

#[test]
#[ignore = "run by deep_memory_goes_back"]
fn deep_memory() {
    const COUNT: usize = 300;
    const DEEP_KIB: usize = 200;
    let start = Usage::at_start();
    for _ in 0..2 {
        let deep = Crowd::gather(COUNT, Builder::new, DEEP_KIB * KIB);
        let most = Usage::now();
        assert!(
            most.resident_kib >= start.resident_kib + COUNT * (DEEP_KIB - 10),
            "{start:?}, {most:?}"
        );
        deep.disperse();
        start.comes_back(Usage {
            // Few stacks stay, but their neighbours' guards do as well, and each may be two mappings.
            mappings: 3 * COUNT,
            resident_kib: COUNT * DEEP_KIB / 10,
            tables_kib: KIB,
        });
    }
}

#[test]
fn deep_memory_goes_back() {
    for workers in ["1", "2"] {
        for mode in ["", "mprotect=1"] {
            child::succeed("deep_memory", &[("GOMAXPROCS", workers), ("GODEBUG", mode)]);
        }
    }
}

/// Whether this kernel marks a page as a guard without a mapping of its own.
fn has_guard_marks() -> bool {
    const MADV_GUARD_INSTALL: libc::c_int = 102;
    let len = 4 * KIB;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, at a place of the system's choice.
    let page = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    // SAFETY: our own page.
    let accepted = unsafe { libc::madvise(page, len, MADV_GUARD_INSTALL) } == 0;
    // Emulators accept what they do not know. The kernel says whether the page can be read.
    let (_reader, writer) = io::pipe().unwrap();
    let writer = std::os::fd::AsRawFd::as_raw_fd(&writer);
    // SAFETY: the kernel checks the address.
    let readable = unsafe { libc::write(writer, page, 1) } == 1;
    // SAFETY: our own page, and its last use.
    unsafe { libc::munmap(page, len) };
    accepted && !readable
}

#[test]
#[ignore = "run by many_stacks_take_few_mappings"]
fn many_stacks() {
    const COUNT: usize = 50_000;
    let start = Usage::at_start();
    for _ in 0..2 {
        let crowd = Crowd::gather(COUNT, Builder::new, 0);
        let most = Usage::now();
        assert!(most.mappings < 1000, "{most:?}");
        // A page each, at least: else they are not what this test takes them for.
        assert!(most.resident_kib >= 4 * COUNT, "{most:?}");
        crowd.disperse();
        start.comes_back(Usage {
            mappings: 40,
            // A tenth of what there was; the allocator keeps some for itself.
            resident_kib: (most.resident_kib - start.resident_kib) / 10,
            // Each of the few stacks that are kept may keep the tables of a thousand.
            tables_kib: (most.tables_kib - start.tables_kib) / 5,
        });
    }
}

#[test]
fn many_stacks_take_few_mappings() {
    if !has_guard_marks() {
        println!("skipped: this kernel has no guard marks (Linux 6.13)");
        return;
    }
    for workers in ["1", "2"] {
        child::succeed("many_stacks", &[("GOMAXPROCS", workers)]);
    }
}

#[test]
#[ignore = "run by stacks_are_used_again"]
fn short_goroutines() {
    const ROUNDS: usize = 500;
    const CROWD: usize = 100;
    let run_all = |sizes: &[usize]| {
        for &size in sizes {
            for _ in 0..CROWD {
                go!(stack_size = size; go_deep(KIB, || ())).join().unwrap();
            }
            let spawn = |_| go!(stack_size = size; go_deep(KIB, || ()));
            let crowd: Vec<_> = (0..CROWD).map(spawn).collect();
            for handle in crowd {
                handle.join().unwrap();
            }
        }
    };
    let start = Usage::at_start();
    for _ in 0..ROUNDS {
        run_all(&[DEFAULT]);
    }
    // Sizes that are not kept for the next one, and the smallest that has a reservation of its own.
    for _ in 0..10 {
        run_all(&[32 * KIB, MIB, 4 * MIB]);
    }
    start.comes_back(Usage {
        mappings: 24,
        resident_kib: 4 * KIB,
        tables_kib: 100,
    });
}

#[test]
fn stacks_are_used_again() {
    for workers in ["1", "2"] {
        for mode in ["", "mprotect=1"] {
            child::succeed(
                "short_goroutines",
                &[("GOMAXPROCS", workers), ("GODEBUG", mode)],
            );
        }
    }
}

// --- old kernels, where guards are counted ---

/// How many mappings a process may have.
fn most_mappings() -> usize {
    let text = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    text.trim().parse().unwrap()
}

/// Spawns blocked goroutines until that is refused.
fn spawn_until_refused(done: &Receiver<()>) -> (Vec<JoinHandle<bool>>, usize, io::Error) {
    /// The refusal comes when some have been tried, so they are not left far behind.
    const AHEAD: usize = 64;
    let started = Arc::new(AtomicUsize::new(0));
    let mut blocked = Vec::new();
    let error = loop {
        let (done, count) = (done.clone(), Arc::clone(&started));
        let spawned = Builder::new().spawn(move || {
            count.fetch_add(1, Ordering::Relaxed);
            done.recv().is_err()
        });
        match spawned {
            Ok(handle) => blocked.push(handle),
            Err(error) => break error,
        }
        if blocked.len() > started.load(Ordering::Relaxed) + AHEAD {
            thread::yield_now();
        }
        assert!(blocked.len() < most_mappings(), "nothing is refused");
    };
    (blocked, started.load(Ordering::Relaxed), error)
}

#[test]
#[ignore = "run by guards_of_old_kernels_are_counted"]
fn counted_guards() {
    let start = Usage::at_start();
    for _ in 0..2 {
        let (stop, done) = bounded::<()>(0);
        let (blocked, started, error) = spawn_until_refused(&done);
        println!("\nstarted: {started}");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert!(error.to_string().contains("vm.max_map_count"), "{error}");
        let refused = panic::catch_unwind(|| go!({})).unwrap_err();
        let message = refused.downcast_ref::<String>().unwrap();
        assert!(message.contains("vm.max_map_count"), "{message}");
        assert!(started < most_mappings() / 2, "{started}");
        assert!(started > most_mappings() / 4, "{started}");
        // The rest of the process has mappings to live on.
        assert_eq!(thread::spawn(|| 6 * 7).join().unwrap(), 42);
        assert_eq!(black_box(vec![1_u8; 64 * MIB])[64 * MIB - 1], 1);

        // Nobody is lost, and nobody is refused any more.
        drop(stop);
        assert!(blocked.into_iter().all(|handle| handle.join().unwrap()));
        assert_eq!(num_goroutine(), 0);
        assert_eq!(go!({ 6 * 7 }).join().unwrap(), 42);
        Crowd::gather(100, Builder::new, 100 * KIB).disperse();
        start.comes_back(Usage {
            // The few stacks that are kept keep what they were reserved with.
            mappings: most_mappings() / 5,
            resident_kib: 20 * KIB,
            tables_kib: KIB,
        });
    }
}

#[test]
fn guards_of_old_kernels_are_counted() {
    let most = most_mappings();
    if most > 300_000 {
        println!(
            "skipped: vm.max_map_count = {most} is more than this test could use up in good time"
        );
        return;
    }
    for workers in ["1", "2"] {
        let ended = child::succeed(
            "counted_guards",
            &[("GOMAXPROCS", workers), ("GODEBUG", "mprotect=1")],
        );
        let limit = most.to_string();
        ended.says(&["no memory for a stack", "vm.max_map_count", &limit]);
    }
}

/// One size must not keep the guards of another one that nobody uses.
#[test]
#[ignore = "run by guards_go_from_size_to_size"]
fn guards_of_two_sizes() {
    let most = most_mappings() / 2;
    for size in [32 * KIB, 64 * KIB, 128 * KIB] {
        let builder = || Builder::new().stack_size(size);
        Crowd::gather(most * 3 / 4, builder, 0).disperse();
    }
}

#[test]
fn guards_go_from_size_to_size() {
    if most_mappings() > 300_000 {
        println!("skipped: vm.max_map_count is large");
        return;
    }
    let ended = child::succeed("guards_of_two_sizes", &[("GODEBUG", "mprotect=1")]);
    ended.does_not_say(&["no memory for a stack"]);
}

/// All guards are taken by stacks of one size: another size is refused, and had again afterwards.
#[test]
#[ignore = "run by another_size_when_guards_have_run_out"]
fn no_guard_for_another_size() {
    let (stop, done) = bounded::<()>(0);
    let (blocked, _, _) = spawn_until_refused(&done);
    let large = || Builder::new().stack_size(512 * KIB).spawn(|| 6 * 7);
    let refused = large().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OutOfMemory);
    drop(stop);
    assert!(blocked.into_iter().all(|handle| handle.join().unwrap()));
    // Those of the first size are idle, and make room.
    eventually(|| large().is_ok_and(|handle| handle.join().unwrap() == 42));

    // The first of another size is not refused, but waits, like those that are refused after it.
    let (stop, done) = bounded::<()>(0);
    let few = most_mappings() / 2 - 4096 / 2 - 200;
    let blocked: Vec<_> = (0..few)
        .map(|_| go!(clone(done) { done.recv().is_err() }))
        .collect();
    let waiting: Vec<_> = (0..300)
        .filter_map(|_| {
            let done = done.clone();
            let builder = Builder::new().stack_size(512 * KIB);
            builder.spawn(move || done.recv().is_err()).ok()
        })
        .collect();
    drop(stop);
    let all = blocked.into_iter().chain(waiting);
    assert!(all.into_iter().all(|handle| handle.join().unwrap()));
}

#[test]
fn another_size_when_guards_have_run_out() {
    if most_mappings() > 300_000 {
        println!("skipped: vm.max_map_count is large");
        return;
    }
    for workers in ["1", "2"] {
        let variables = [("GOMAXPROCS", workers), ("GODEBUG", "mprotect=1")];
        child::succeed("no_guard_for_another_size", &variables);
    }
}

/// A large frame is parked while what lies below it is given back: it keeps what is in it.
#[test]
#[ignore = "run by large_frames_of_parked_goroutines_are_kept"]
fn large_frames() {
    const COUNT: usize = 200;
    #[inline(always)]
    fn with_large_frame(n: usize, done: &Receiver<()>) -> bool {
        let mut frame = [0_u8; 64 * KIB];
        let byte = |i: usize| (i * 31 + n) as u8;
        for (i, place) in frame.iter_mut().enumerate() {
            *place = byte(i);
        }
        let frame = black_box(&mut frame);
        let closed = done.recv().is_err();
        closed && frame.iter().enumerate().all(|(i, place)| *place == byte(i))
    }
    let start = Usage::at_start();
    let (stop, done) = bounded::<()>(0);
    let started = Arc::new(AtomicUsize::new(0));
    let parked: Vec<_> = (0..COUNT)
        .map(|n| {
            go!(clone(done, started) {
                // Deep first, so that there is something to give back.
                go_deep(120 * KIB, || ());
                started.fetch_add(1, Ordering::Relaxed);
                with_large_frame(n, &done)
            })
        })
        .collect();
    eventually(|| started.load(Ordering::Relaxed) == COUNT);
    // They have touched more than 180 KiB each (the large frame lies above the deep ones), and need 64 and a bit.
    start.comes_back(Usage {
        mappings: COUNT,
        resident_kib: COUNT * 100,
        tables_kib: COUNT,
    });
    drop(stop);
    assert!(parked.into_iter().all(|handle| handle.join().unwrap()));
}

#[test]
fn large_frames_of_parked_goroutines_are_kept() {
    for workers in ["1", "2"] {
        child::succeed("large_frames", &[("GOMAXPROCS", workers)]);
    }
}

/// Memory that is locked takes no guard marks: guards are made in the other way then.
#[test]
#[ignore = "run by stacks_in_locked_memory"]
fn locked_memory() {
    assert_eq!(go!({ 6 * 7 }).join().unwrap(), 42);
    // SAFETY: changes no memory.
    if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } != 0 {
        println!("skipped: {}", io::Error::last_os_error());
        return;
    }
    for size in [DEFAULT, 512 * KIB] {
        Crowd::gather(100, || Builder::new().stack_size(size), 100 * KIB).disperse();
    }
}

#[test]
fn stacks_in_locked_memory() {
    let ended = child::succeed("locked_memory", &[]);
    ended.does_not_say(&["no memory for a stack"]);
}

// --- what needs much stack: std's own code ---

/// As deep as what people print.
#[derive(Debug)]
#[expect(dead_code, reason = "printed only")]
enum Tree {
    Leaf(f64),
    Node { name: String, below: Vec<Tree> },
}

impl Tree {
    fn new(depth: usize) -> Tree {
        if depth == 0 {
            return Tree::Leaf(0.1);
        }
        Tree::Node {
            name: format!("level {depth:>5}"),
            below: vec![Tree::new(depth - 1), Tree::Leaf(depth as f64)],
        }
    }
}

fn print(value: &impl Debug) -> usize {
    println!("{value:?}");
    let (plain, pretty) = (format!("{value:?}"), format!("{value:#?}"));
    assert!(plain.len() < pretty.len());
    plain.len()
}

#[test]
#[ignore = "run by printing_and_panics"]
fn prints() {
    assert!(go!({ print(&Tree::new(50)) }).join().unwrap() > 1000);
}

#[test]
#[ignore = "run by printing_and_panics, and others"]
fn panics() {
    let size: usize = std::env::var("SIZE").unwrap().parse().unwrap();
    let panicked = go!(name = "unlucky", stack_size = size; {
        let reason = black_box(7);
        panic!("reason {reason}");
    });
    let payload = panicked.join().unwrap_err();
    assert_eq!(payload.downcast_ref::<String>().unwrap(), "reason 7");
}

#[test]
fn printing_and_panics() {
    let ended = child::succeed("prints", &[]);
    assert!(ended.out.contains("level    50"), "{}", ended.all());
    for size in [DEFAULT, 32 * KIB] {
        let size = size.to_string();
        for (wanted, frames) in [("full", true), ("1", true), ("0", false)] {
            let ended = child::succeed("panics", &[("RUST_BACKTRACE", wanted), ("SIZE", &size)]);
            ended.says(&["goroutine 'unlucky'", "reason 7"]);
            assert_eq!(
                ended.err.contains("stack backtrace:"),
                frames,
                "{}",
                ended.all()
            );
        }
    }
}
