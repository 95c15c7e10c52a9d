//! Helpers shared by our workloads and every Rust peer: counts, clock, report line, RNG, spin loop.

use std::time::{Duration, Instant};

// Same counts as go/main.go.
pub const SPAWN_N: usize = 1_000_000;
pub const YIELD1_N: usize = 5_000_000;
pub const YIELD_G: usize = 1000;
pub const YIELD_E: usize = 5000;
pub const PING_N: usize = 500_000;
pub const SPSC_N: usize = 5_000_000;
pub const MPMC_N: usize = 2_000_000;
pub const MPMC0_N: usize = 1_000_000;
pub const SELECT_N: usize = 500_000;
pub const MUTEX_G: usize = 8;
pub const MUTEX_N: usize = 500_000;
pub const RING_G: usize = 1000;
pub const RING_HOPS: usize = 1_000_000;
pub const SKYNET_N: u64 = 1_000_000;
pub const SIEVE_N: usize = 1500;
pub const PARKED_N: usize = 1_000_000;
pub const TIMERS_G: usize = 100_000;
pub const TIMERS_K: usize = 10;
pub const POOL_W: usize = 4;
pub const POOL_JOBS: usize = 50_000;
pub const SPIN_K: usize = 12_000;

fn env(key: &str) -> Option<usize> {
    std::env::var(key).ok()?.parse().ok().filter(|&d| d > 0)
}

/// Count after BP_DIV (for slow peers and smoke tests).
pub fn n(x: usize) -> usize {
    (x / env("BP_DIV").unwrap_or(1)).max(1)
}

/// (rounds, goroutines per round) of spawn_join; BP_ROUNDS overrides 10.
pub fn spawn_rounds() -> (usize, usize) {
    let r = env("BP_ROUNDS").unwrap_or(10);
    (r, n(SPAWN_N) / r)
}

/// Count of parked goroutines; BP_PARKED overrides.
pub fn parked_n() -> usize {
    env("BP_PARKED").unwrap_or_else(|| n(PARKED_N))
}

/// (CPU time of all threads in ms, highest resident memory in KiB).
pub fn rusage() -> (f64, i64) {
    // SAFETY: a `rusage` is made of integers only, of which zero is a value.
    let mut ru: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `ru` is a `rusage` that the call may write.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut ru) };
    let cpu = (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) as f64 * 1e3
        + (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) as f64 / 1e3;
    (cpu, ru.ru_maxrss)
}

/// A field of `/proc/self/status`, in KiB.
pub fn status_kb(key: &str) -> i64 {
    let s = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    s.lines()
        .find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))
        .and_then(|r| r.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Wall and CPU time since the start of a workload.
pub struct Clock {
    pub t: Instant,
    cpu: f64,
}

impl Clock {
    pub fn start() -> Clock {
        let cpu = rusage().0;
        Clock {
            t: Instant::now(),
            cpu,
        }
    }

    /// Nanoseconds that the process has computed.
    pub fn cpu_ns(&self) -> f64 {
        (rusage().0 - self.cpu) * 1e6
    }

    /// Prints the result line and ends the process (so that goroutines which
    /// stay parked on purpose, as in ring and sieve, need no teardown).
    pub fn report(&self, name: &str, ops: usize, extra: &str) -> ! {
        let el = self.t.elapsed();
        let (cpu, rss) = rusage();
        println!(
            "{} {:.1} {} {:.1} {} cpu_ms={:.0} {}",
            name,
            el.as_nanos() as f64 / ops as f64,
            ops,
            el.as_nanos() as f64 / 1e6,
            rss,
            cpu - self.cpu,
            extra
        );
        exit_now(0)
    }

    /// As `report`, of creation and waking apart, and a line of the memory between `m0` and `m1`.
    pub fn report_parked(
        &self,
        k: usize,
        create: Duration,
        wake: Duration,
        m0: (i64, i64),
        m1: (i64, i64),
    ) -> ! {
        let (cpu, rss) = rusage();
        let c = create.as_nanos() as f64 / k as f64;
        let w = wake.as_nanos() as f64 / k as f64;
        println!(
            "parked {:.1} {} {:.1} {} cpu_ms={:.0} create_ns={:.1} wake_ns={:.1}",
            c,
            k,
            (create + wake).as_nanos() as f64 / 1e6,
            rss,
            cpu - self.cpu,
            c,
            w
        );
        println!(
            "parked_mem {:.0} {:.0} {}",
            (m1.0 - m0.0) as f64 * 1024.0 / k as f64,
            (m1.1 - m0.1) as f64 * 1024.0 / k as f64,
            k
        );
        exit_now(0)
    }
}

/// Flush stdout and leave without destructors or other threads' teardown.
pub fn exit_now(code: i32) -> ! {
    use std::io::Write;
    let _ = std::io::stdout().flush();
    // SAFETY: the call only ends the process; no other code of it runs any more.
    unsafe { libc::_exit(code) }
}

/// (resident memory, page tables), in KiB.
pub fn mem() -> (i64, i64) {
    (status_kb("VmRSS"), status_kb("VmPTE"))
}

/// Ends the process unless `ok`: a workload that does other work than it should has no time.
pub fn check(ok: bool, msg: &str) {
    if !ok {
        eprintln!("CHECK FAILED: {msg}");
        exit_now(3);
    }
}

/// Reports that this peer has no such workload, and ends the process.
pub fn na(name: &str, why: &str) -> ! {
    println!("{name} n/a 0 0 0 why={}", why.replace(' ', "_"));
    exit_now(0)
}

/// xorshift64: a dependent chain that no compiler folds.
#[inline(never)]
pub fn spin(mut x: u64, k: usize) -> u64 {
    for _ in 0..k {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

/// Serial baseline of the pool workload: (sum, wall).
pub fn pool_serial(jobs: usize) -> (u64, Duration) {
    let t = Instant::now();
    let mut s = 0u64;
    for j in 0..jobs {
        s = s.wrapping_add(spin(j as u64 + 1, SPIN_K));
    }
    (std::hint::black_box(s), t.elapsed())
}

/// The fields of the report that only the pool workload has.
pub fn pool_extra(jobs: usize, serial: Duration, par: Duration) -> String {
    format!(
        "serial_ns={:.0} speedup={:.3}",
        serial.as_nanos() as f64 / jobs as f64,
        serial.as_secs_f64() / par.as_secs_f64()
    )
}

/// splitmix64, same as Go's side.
pub fn rng_next(s: &mut u64) -> u64 {
    *s = s.wrapping_add(0x9E3779B97F4A7C15);
    let mut z = *s;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D049BB133111EB);
    z ^ (z >> 31)
}

/// The sum of the numbers below `k`.
pub fn sum_to(k: usize) -> u64 {
    k as u64 * (k as u64 - 1) / 2
}
