//! The measurements, each of which runs in a process of its own and prints its result as lines "key
//! value".

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use go_benches::peers::read;
use go_benches::waiting::{POLL_INTERVAL, wait_for, wait_for_sleep};
use go_benches::{mem, rusage};
use go_runtime::channel::{Receiver, Sender, bounded};
use go_runtime::{go, num_goroutines};

/// Returns how much memory may be left after the end: a tenth more than at the start.
pub(crate) fn enough(start_kb: f64) -> f64 {
    start_kb * 1.1
}

/// How long the memory may take to come back down after the end.
pub(crate) const MEMORY_TIMEOUT: Duration = Duration::from_secs(5);

/// Has `n` goroutines wait on one channel. The calling thread is not one of the runtime's, so it
/// sees the process from outside.
///
/// Besides the goroutine itself there are only the counters: no handle is kept.
pub(crate) fn blocked(n: usize) -> Result<(), String> {
    static BLOCKED: AtomicUsize = AtomicUsize::new(0);

    warm_up()?;
    let (stop, done) = bounded::<()>(0);

    let before = mem();
    let (creating, cpu_ms) = (Instant::now(), rusage().0);
    drop(go!({
        for _ in 0..n {
            go!(clone(done) {
                BLOCKED.fetch_add(1, Relaxed);
                let _ = done.recv();
            });
        }
    }));
    wait_for(|| BLOCKED.load(Relaxed) as u64, n as u64, POLL_INTERVAL)?;
    let (created, created_cpu_ms) = (creating.elapsed(), rusage().0 - cpu_ms);
    wait_for_sleep()?;

    let blocked = mem();
    let mappings = read("/proc/self/maps")?.lines().count();

    let waking = Instant::now();
    drop(stop);
    wait_for_end()?;
    let woken = waking.elapsed();

    let end = Instant::now();
    let total = |(rss, pte): (i64, i64)| (rss + pte) as f64;
    let mut left = total(mem());
    while left > enough(total(before)) && end.elapsed() < MEMORY_TIMEOUT {
        thread::sleep(Duration::from_millis(50));
        left = total(mem());
    }

    println!("rss_before_kb {}", before.0);
    println!("pte_before_kb {}", before.1);
    println!("rss_blocked_kb {}", blocked.0);
    println!("pte_blocked_kb {}", blocked.1);
    println!("mappings {mappings}");
    println!("create_ns {}", created.as_nanos());
    println!("create_cpu_ns {:.0}", created_cpu_ms * 1e6);
    println!("wake_ns {}", woken.as_nanos());
    println!("left_kb {left}");
    println!("return_ms {}", end.elapsed().as_millis());
    Ok(())
}

/// Runs the ring of `ours`, but with a token that goes round four times: once to warm up, and three
/// times to be measured.
pub(crate) fn ring(n: usize) -> Result<(), String> {
    static STARTED: AtomicUsize = AtomicUsize::new(0);

    let (finish, finished) = bounded::<()>(0);
    let made = go!({
        let channels: Vec<(Sender<usize>, Receiver<usize>)> = (0..n).map(|_| bounded(0)).collect();
        for i in 0..n {
            let (input, output) = (channels[i].1.clone(), channels[(i + 1) % n].0.clone());
            go!(clone(finish) {
                STARTED.fetch_add(1, Relaxed);
                for v in input {
                    if v == 0 {
                        finish.send(()).unwrap();
                    } else {
                        output.send(v - 1).unwrap();
                    }
                }
            });
        }
        channels[0].0.clone()
    });
    wait_for(|| STARTED.load(Relaxed) as u64, n as u64, POLL_INTERVAL)?;
    wait_for_sleep()?;
    let first = made.join().map_err(|_| "no ring was made")?;

    let hops = 3 * n;
    let time = go!({
        first.send(n).unwrap();
        finished.recv().unwrap();
        let start = Instant::now();
        first.send(hops).unwrap();
        finished.recv().unwrap();
        start.elapsed()
    });
    let time = time.join().map_err(|_| "the token was lost")?;
    println!("hop_ns {}", time.as_nanos() as f64 / hops as f64);
    Ok(())
}

/// Measures what the machine itself takes for the first touch of a page in each of `n` places as
/// far apart as goroutines' stacks: a page fault, a zeroed page, and one page of page tables for
/// every eight.
pub(crate) fn touch(n: usize) -> Result<(), String> {
    const SPACING: usize = 256 << 10;
    const PAGE: usize = 4 << 10;

    let size = n * SPACING;
    // SAFETY: a new mapping at an address of the system's choice replaces no other mapping.
    let region = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if region == libc::MAP_FAILED {
        return Err(format!("mmap: {}", std::io::Error::last_os_error()));
    }
    // A huge page would take one fault for all of its small ones. An error means that this system
    // has none.
    // SAFETY: the range is the mapping made above.
    unsafe { libc::madvise(region, size, libc::MADV_NOHUGEPAGE) };
    let start = Instant::now();
    for slot in 1..=n {
        // SAFETY: the address lies within the mapping, which is writable, and which only this
        // function uses.
        unsafe {
            region
                .cast::<u8>()
                .add(slot * SPACING - PAGE)
                .write_volatile(1)
        };
    }
    println!("touch_ns {}", start.elapsed().as_nanos() as f64 / n as f64);
    Ok(())
}

/// Makes the process grow by what it allocates only once (workers, code that is read in, the first
/// arenas), so that this counts as memory of the start.
fn warm_up() -> Result<(), String> {
    let (stop, done) = bounded::<()>(0);
    for _ in 0..20_000 {
        go!(clone(done) {
            let _ = done.recv();
        });
    }
    drop(stop);
    wait_for_end()?;
    // By then the memory of these goroutines has been given back.
    thread::sleep(Duration::from_secs(1));
    Ok(())
}

/// Waits until no goroutine is left.
fn wait_for_end() -> Result<(), String> {
    wait_for(
        || u64::MAX - num_goroutines() as u64,
        u64::MAX,
        POLL_INTERVAL,
    )
}
