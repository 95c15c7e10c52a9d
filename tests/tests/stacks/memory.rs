//! The memory of stacks that are no longer used.

use super::process::*;
use super::*;

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
            // Few stacks are kept, but so are the guards of their neighbors, each of which may be
            // two mappings.
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

/// Returns whether this kernel marks a page as a guard without a mapping of its own.
fn has_guard_marks() -> bool {
    const MADV_GUARD_INSTALL: libc::c_int = 102;
    let len = 4 * KIB;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new anonymous mapping, at an address that the system chooses, touches no other
    // memory.
    let page = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    // SAFETY: the page is this function's own mapping, and holds no value.
    let accepted = unsafe { libc::madvise(page, len, MADV_GUARD_INSTALL) } == 0;
    // Emulators accept unknown advice, so the kernel has to tell whether the page can be read.
    let (_reader, writer) = io::pipe().unwrap();
    let writer = std::os::fd::AsRawFd::as_raw_fd(&writer);
    // SAFETY: the kernel checks the address, and fails if it cannot be read.
    let readable = unsafe { libc::write(writer, page, 1) } == 1;
    // SAFETY: the page is this function's own mapping, which is not used again.
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
        // Each stack has touched at least a page, as this test assumes.
        assert!(most.resident_kib >= 4 * COUNT, "{most:?}");
        crowd.disperse();
        start.comes_back(Usage {
            // Sixteen stacks are kept. One that lies between free ones takes a mapping for its
            // guard, one for itself, and one for what is free behind it; its slab may take another.
            mappings: 4 * 16,
            // A tenth of the memory: the allocator keeps some for itself.
            resident_kib: (most.resident_kib - start.resident_kib) / 10,
            // Each stack that is kept may keep the page tables of a thousand.
            tables_kib: (most.tables_kib - start.tables_kib) / 2,
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

/// No worker sleeps for longer than 5 ms at a time, and none works for long. Memory is given back
/// within a second, or some 200 sleeps; once it took thousands of sleeps.
#[test]
#[ignore = "run by memory_goes_back_beside_one_that_is_woken_all_the_time"]
fn beside_short_sleeps() {
    const COUNT: usize = 60_000;
    const MOST_SLEEPS: usize = 2_000;
    let start = Usage::at_start();
    let stop = Arc::new(AtomicBool::new(false));
    let slept = Arc::new(AtomicUsize::new(0));
    let sleepers: Vec<_> = (0..go_runtime::gomaxprocs())
        .map(|_| {
            go!(clone(stop, slept) {
                while !stop.load(Ordering::SeqCst) {
                    sleep(Duration::from_millis(5));
                    slept.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let crowd = Crowd::gather(COUNT, Builder::new, 0);
    let most = Usage::now();
    assert!(most.resident_kib >= 4 * COUNT, "{most:?}");
    crowd.disperse();
    let before = slept.load(Ordering::SeqCst);
    start.comes_back(Usage {
        mappings: 3 * COUNT,
        resident_kib: (most.resident_kib - start.resident_kib) / 4,
        tables_kib: most.tables_kib,
    });
    let sleeps = (slept.load(Ordering::SeqCst) - before) / go_runtime::gomaxprocs();
    assert!(sleeps < MOST_SLEEPS, "{sleeps} sleeps");
    stop.store(true, Ordering::SeqCst);
    sleepers.into_iter().for_each(|s| s.join().unwrap());
}

#[test]
fn memory_goes_back_beside_one_that_is_woken_all_the_time() {
    child::succeed_with_one_and_two(&["beside_short_sleeps"]);
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
    // Sizes whose stacks are not kept for later use, and the smallest size with its own
    // reservation.
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

/// While a large frame is parked, the memory below it is given back, and the frame keeps its
/// contents.
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
                // Descends first, so that there is memory to give back.
                go_deep(120 * KIB, || ());
                started.fetch_add(1, Ordering::Relaxed);
                with_large_frame(n, &done)
            })
        })
        .collect();
    eventually(|| started.load(Ordering::Relaxed) == COUNT);
    // Each goroutine has touched more than 180 KiB (the large frame lies above the deep ones), and
    // needs a little more than 64 KiB.
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
