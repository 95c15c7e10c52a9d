//! Helpers shared by our workloads and every Rust peer: arguments, clock, report line, random
//! numbers, spin loop.

use std::env;
use std::time::Instant;

/// Returns the name and the count of the workload on the command line.
pub fn arguments() -> (String, usize) {
    let args: Vec<String> = env::args().collect();
    let count = args.get(2).and_then(|count| count.parse().ok());
    let count = count.filter(|&count| count > 0);
    check(count.is_some(), "usage: WORKLOAD COUNT");
    (args[1].clone(), count.unwrap_or(1))
}

/// Returns the number of workers that `GOMAXPROCS` asks for, or 2 if it is not set.
pub fn workers() -> usize {
    let workers = env::var("GOMAXPROCS").ok().and_then(|n| n.parse().ok());
    workers.unwrap_or(2)
}

/// Returns the CPU time of all threads of this process, in ms.
pub fn cpu_ms() -> f64 {
    // SAFETY: a `rusage` is made of integers only, of which zero is a value.
    let mut ru: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `ru` is a `rusage` that the call may write.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut ru) };
    (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) as f64 * 1e3
        + (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) as f64 / 1e3
}

/// Measures wall and CPU time since the start of a workload.
pub struct Clock {
    pub t: Instant,
    cpu: f64,
}

impl Clock {
    pub fn start() -> Clock {
        let cpu = cpu_ms();
        let t = Instant::now();
        Clock { t, cpu }
    }

    /// Returns the CPU time of the process in nanoseconds.
    pub fn cpu_ns(&self) -> f64 {
        (cpu_ms() - self.cpu) * 1e6
    }

    /// Prints the result, `WORKLOAD NS_PER_OPERATION OPERATIONS`, and ends the process, so
    /// goroutines that stay parked, as in ring and sieve, need no teardown.
    pub fn report(&self, name: &str, operations: usize) -> ! {
        let ns = self.t.elapsed().as_nanos() as f64 / operations as f64;
        println!("{name} {ns:.2} {operations}");
        exit_now(0)
    }
}

/// Flushes stdout and ends the process without running destructors or ending other threads.
pub fn exit_now(code: i32) -> ! {
    use std::io::Write;
    let _ = std::io::stdout().flush();
    // SAFETY: the call only ends the process; no other code of it runs any more.
    unsafe { libc::_exit(code) }
}

/// Ends the process unless `ok`: the time of a workload that has done the wrong work means nothing.
pub fn check(ok: bool, msg: &str) {
    if !ok {
        eprintln!("CHECK FAILED: {msg}");
        exit_now(3);
    }
}

/// Computes for some 20 µs: xorshift64, a dependent chain that no compiler folds.
#[inline(never)]
pub fn spin(mut x: u64) -> u64 {
    for _ in 0..12_000 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

/// splitmix64, as in the Go program.
pub fn rng_next(s: &mut u64) -> u64 {
    *s = s.wrapping_add(0x9E3779B97F4A7C15);
    let mut z = *s;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D049BB133111EB);
    z ^ (z >> 31)
}

/// Returns the sum of the numbers below `k`.
pub fn sum_to(k: usize) -> u64 {
    k as u64 * (k as u64 - 1) / 2
}
