//! The measurements, each of which runs in a process of its own and prints its result as lines "key
//! value".

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use go_benches::peers::read;
use go_benches::servers::status_kb;
use go_benches::waiting::{POLL_INTERVAL, wait_for, wait_for_sleep};
use go_runtime::channel::bounded;
use go_runtime::{go, num_goroutines};

/// How long the memory may take to come back down after the end.
const MEMORY_TIMEOUT: Duration = Duration::from_secs(5);

/// Has `n` goroutines wait on one channel. The calling thread is not one of the runtime's, so it
/// sees the process from outside.
///
/// Besides the goroutine itself there is only the counter: no handle is kept.
pub(crate) fn blocked(n: usize) -> Result<(), String> {
    static BLOCKED: AtomicUsize = AtomicUsize::new(0);
    let memory = || {
        let [rss, pte] = ["VmRSS", "VmPTE"].map(|key| status_kb("self", key));
        Ok::<_, String>((rss?, pte?))
    };

    warm_up()?;
    let (stop, done) = bounded::<()>(0);

    let before = memory()?;
    let creating = Instant::now();
    drop(go!({
        for _ in 0..n {
            go!(clone(done) {
                BLOCKED.fetch_add(1, Relaxed);
                let _ = done.recv();
            });
        }
    }));
    wait_for(|| BLOCKED.load(Relaxed) as u64, n as u64, POLL_INTERVAL)?;
    let created = creating.elapsed();
    wait_for_sleep()?;

    let blocked = memory()?;
    let mappings = read("/proc/self/maps")?.lines().count();

    let waking = Instant::now();
    drop(stop);
    wait_for_end()?;
    let woken = waking.elapsed();

    let end = Instant::now();
    let above_start = || {
        let (rss, pte) = memory()?;
        Ok::<_, String>(rss + pte > 1.1 * (before.0 + before.1))
    };
    while above_start()? && end.elapsed() < MEMORY_TIMEOUT {
        thread::sleep(Duration::from_millis(50));
    }

    let each = |total: f64| total / n as f64;
    println!("rss_bytes {}", each((blocked.0 - before.0) * 1024.0));
    println!("pte_bytes {}", each((blocked.1 - before.1) * 1024.0));
    println!("mappings {mappings}");
    println!("create_ns {}", each(created.as_nanos() as f64));
    println!("wake_ns {}", each(woken.as_nanos() as f64));
    println!("return_ms {}", end.elapsed().as_millis());
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
