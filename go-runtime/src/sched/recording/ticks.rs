//! The clock of the events: the processor's counter where it is as good as a clock, or else the
//! system's clock.
//!
//! On x86-64 the time-stamp counter takes a third of the time of `clock_gettime`. It is used if the
//! processor says that the counter's rate is constant, and if Linux trusts it as well, which tests
//! at its start whether the counters of all processors agree.

use std::time::Instant;

use crate::clock;

#[derive(Clone, Copy)]
pub(crate) enum Ticks {
    /// Counts from this value of the time-stamp counter on.
    #[cfg(target_arch = "x86_64")]
    Counter(u64),
    /// Counts nanoseconds from then on.
    System(Instant),
}

impl Ticks {
    /// Makes the best clock that there is; it starts at 0.
    pub(crate) fn start() -> Ticks {
        #[cfg(target_arch = "x86_64")]
        if is_counter_a_clock() {
            return Ticks::Counter(counter());
        }
        Ticks::System(clock::now())
    }

    /// Returns the ticks since the start.
    #[inline]
    pub(crate) fn now(self) -> u64 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Ticks::Counter(base) => counter().wrapping_sub(base),
            Ticks::System(base) => (clock::now() - base).as_nanos() as u64,
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unused_unsafe, reason = "newer compilers know that it is safe")]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has the instruction. Where the system forbids it, it does so
    // for the whole process, on request of the process itself (PR_SET_TSC), which is not made.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "x86_64")]
#[allow(unused_unsafe, reason = "newer compilers know that it is safe")]
fn is_counter_a_clock() -> bool {
    use std::arch::x86_64::__cpuid;
    const POWER: u32 = 0x8000_0007;
    const INVARIANT: u32 = 1 << 8;
    // SAFETY: every x86-64 processor has the instruction.
    let is_invariant =
        unsafe { __cpuid(0x8000_0000).eax >= POWER && __cpuid(POWER).edx & INVARIANT != 0 };
    is_invariant && is_trusted_by_system()
}

/// Returns whether the system's own clock is the counter.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn is_trusted_by_system() -> bool {
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    std::fs::read_to_string(source).is_ok_and(|source| source.contains("tsc"))
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn is_trusted_by_system() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advances() {
        for ticks in [Ticks::start(), Ticks::System(clock::now())] {
            let first = ticks.now();
            while ticks.now() <= first {}
        }
    }
}
