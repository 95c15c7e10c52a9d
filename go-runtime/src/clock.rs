//! The one place where the time is read, so that a later virtual clock has one thing to replace.

#[cfg(target_os = "linux")]
pub(crate) use linux::ThreadClock;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::ThreadClock;

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
    use std::fs;
    use std::mem::MaybeUninit;
    use std::time::Duration;

    /// What a thread has been doing with its time, to be read by other threads.
    pub(crate) struct ThreadClock {
        /// Of the time that it has computed.
        clock: Option<libc::clockid_t>,
        thread: libc::pid_t,
    }

    impl ThreadClock {
        pub(crate) fn of_this_thread() -> ThreadClock {
            let mut clock = 0;
            // SAFETY: a plain call about the calling thread, which lives; it writes `clock`.
            let error = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
            ThreadClock {
                clock: (error == 0).then_some(clock),
                // SAFETY: a plain question.
                thread: unsafe { libc::gettid() },
            }
        }

        /// Whether it waits in the system, rather than compute or wait for a CPU; `None` if the system does not say.
        pub(crate) fn is_blocked(&self) -> Option<bool> {
            let text = fs::read_to_string(format!("/proc/self/task/{}/stat", self.thread)).ok()?;
            // The name, in brackets, may hold anything; the state is the letter behind it.
            let state = text.rsplit_once(')')?.1.trim_start().chars().next()?;
            Some(state != 'R')
        }

        /// How long it has computed; `None` if the system does not say.
        pub(crate) fn read(&self) -> Option<Duration> {
            let mut time = MaybeUninit::<libc::timespec>::uninit();
            // SAFETY: any clock id may be asked for; the call writes `time` if it returns 0.
            if unsafe { libc::clock_gettime(self.clock?, time.as_mut_ptr()) } != 0 {
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

    /// What a thread has been doing, where the system says so; here nobody knows.
    pub(crate) struct ThreadClock;

    impl ThreadClock {
        pub(crate) fn of_this_thread() -> ThreadClock {
            ThreadClock
        }

        pub(crate) fn read(&self) -> Option<Duration> {
            None
        }

        pub(crate) fn is_blocked(&self) -> Option<bool> {
            None
        }
    }
}
