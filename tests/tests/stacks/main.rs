//! Stacks: their sizes, their real depths, and their memory.
//!
//! A test that measures the whole process is ignored, and another test runs it in a child process.
#![cfg(target_os = "linux")]

mod growing;
mod guards;
mod memory;
mod printing;
mod process;

use std::fmt::Debug;
use std::fs;
use std::hint::black_box;
use std::io::{self, ErrorKind};
use std::panic;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{Receiver, Sender, bounded, unbounded};
use go_runtime::errgroup::Group;
use go_runtime::time::sleep;
use go_runtime::{Builder, JoinHandle, JoinSet, go, num_goroutines, scope};

use process::Crowd;

use go_tests::support::{self, NET, child, eventually};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
/// The default size.
const DEFAULT: usize = 256 * KIB;

// --- values on the stack ---

/// Passes the value through goroutines of each kind, in the closure and as the result.
fn values<V: Copy + Send + 'static>(stack_size: usize, value: V) {
    let builder = || Builder::new().stack_size(stack_size);
    builder().spawn(move || value).unwrap().join().unwrap();
    scope(|s| {
        let scoped = builder().spawn_scoped(s, move || value).unwrap();
        scoped.join().unwrap();
    });
    let mut set = JoinSet::new();
    set.spawn_with(builder(), move || value).unwrap();
    set.join_next().unwrap().unwrap();
    let group = Group::new();
    group.go(move || Err(value));
    assert!(group.wait().is_err());
}

#[derive(Clone, Copy)]
struct Bytes<const N: usize>([u8; N]);
#[derive(Clone, Copy)]
#[repr(align(8192))]
struct Aligned8(#[expect(dead_code, reason = "it has a size")] [u8; 8 * KIB]);
#[derive(Clone, Copy)]
#[repr(align(65536))]
struct Aligned64(#[expect(dead_code, reason = "it has a size")] [u8; 64 * KIB]);

/// Besides its requested size, a stack has room for the closure and the result, including the gaps
/// for their alignment. (An overflow would end the process.)
#[test]
fn large_closures_and_results() {
    fn all() {
        for stack_size in [32 * KIB, DEFAULT] {
            values(stack_size, Bytes([1; 500]));
            values(stack_size, Bytes([1; KIB]));
            values(stack_size, Bytes([1; 2 * KIB]));
            values(stack_size, Bytes([1; 4 * KIB]));
            values(stack_size, Bytes([1; 8 * KIB]));
            values(stack_size, Bytes([1; 60 * KIB]));
            values(stack_size, Aligned8([1; 8 * KIB]));
            values(stack_size, Aligned64([1; 64 * KIB]));
        }
    }
    // The test runs on a large stack, because the thread that spawns and joins holds copies of the
    // values.
    let outside = thread::Builder::new().stack_size(64 * MIB).spawn(all);
    outside.unwrap().join().unwrap();
}

// --- going deep ---

/// The result of a descent.
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

/// Descends until a local lies `depth` bytes below `top`, runs `there`, and returns with the sum of
/// the words in the frames.
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

/// Uses `depth` bytes of the caller's stack, and runs `there` at that depth.
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

/// All goroutines are deep in their stacks at the same time, so that the test notices if one
/// overwrites another's stack.
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
    // A rounded size can be used as a whole.
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
    // Several goroutines have such stacks: only touched pages take memory.
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
