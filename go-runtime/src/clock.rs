//! The one place where the time is read, so that a later virtual clock has one thing to replace.

#[cfg(target_os = "linux")]
pub(crate) use linux::CpuClock;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::CpuClock;

use std::time::{Duration, Instant};

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The moment `duration` from now; `None` if it lies beyond what an `Instant` can say, which means never.
pub(crate) fn after(duration: Duration) -> Option<Instant> {
    now().checked_add(duration)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::mem::MaybeUninit;
    use std::time::Duration;

    /// How long a thread has computed, to be read by other threads.
    pub(crate) struct CpuClock(Option<libc::clockid_t>);

    impl CpuClock {
        pub(crate) fn of_this_thread() -> CpuClock {
            let mut clock = 0;
            // SAFETY: a plain call about the calling thread, which lives; it writes `clock`.
            let error = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
            CpuClock((error == 0).then_some(clock))
        }

        /// `None` if the system does not say.
        pub(crate) fn read(&self) -> Option<Duration> {
            let mut time = MaybeUninit::<libc::timespec>::uninit();
            // SAFETY: any clock id may be asked for; the call writes `time` if it returns 0.
            if unsafe { libc::clock_gettime(self.0?, time.as_mut_ptr()) } != 0 {
                return None;
            }
            // SAFETY: written, as said.
            let time = unsafe { time.assume_init() };
            // Neither is ever negative.
            Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::time::Duration;

    /// How long a thread has computed, where the system says so; here nobody knows.
    pub(crate) struct CpuClock;

    impl CpuClock {
        pub(crate) fn of_this_thread() -> CpuClock {
            CpuClock
        }

        pub(crate) fn read(&self) -> Option<Duration> {
            None
        }
    }
}
