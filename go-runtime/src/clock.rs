//! The one place where the time is read, so that a later virtual clock has one thing to replace.

#[cfg(target_os = "linux")]
pub(crate) use linux::ThreadClock;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::ThreadClock;

use std::time::{Duration, Instant};

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The moment `duration` from now; `None` if it lies beyond what an `Instant` can say, which means
/// never.
pub(crate) fn after(duration: Duration) -> Option<Instant> {
    now().checked_add(duration)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::mem::MaybeUninit;
    use std::time::Duration;

    /// Calls that may block: number, name, and whether the first argument is a descriptor.
    const SYSTEM_CALLS: &[(libc::c_long, &str, bool)] = &[
        (libc::SYS_futex, "futex", false),
        (libc::SYS_read, "read", true),
        (libc::SYS_pread64, "pread64", true),
        (libc::SYS_readv, "readv", true),
        (libc::SYS_write, "write", true),
        (libc::SYS_pwrite64, "pwrite64", true),
        (libc::SYS_writev, "writev", true),
        (libc::SYS_recvfrom, "recvfrom", true),
        (libc::SYS_recvmsg, "recvmsg", true),
        (libc::SYS_sendto, "sendto", true),
        (libc::SYS_sendmsg, "sendmsg", true),
        // (32-bit x86 has `accept4` only.)
        #[cfg(not(target_arch = "x86"))]
        (libc::SYS_accept, "accept", true),
        (libc::SYS_accept4, "accept4", true),
        (libc::SYS_connect, "connect", true),
        (libc::SYS_ppoll, "ppoll", false),
        (libc::SYS_pselect6, "pselect6", false),
        (libc::SYS_epoll_pwait, "epoll_pwait", true),
        (libc::SYS_nanosleep, "nanosleep", false),
        (libc::SYS_clock_nanosleep, "clock_nanosleep", false),
        (libc::SYS_wait4, "wait4", false),
        (libc::SYS_waitid, "waitid", false),
        (libc::SYS_openat, "openat", false),
        (libc::SYS_fsync, "fsync", true),
        (libc::SYS_fdatasync, "fdatasync", true),
        (libc::SYS_flock, "flock", true),
        (libc::SYS_fcntl, "fcntl", true),
        (libc::SYS_ioctl, "ioctl", true),
        (libc::SYS_rt_sigtimedwait, "rt_sigtimedwait", false),
        (libc::SYS_rt_sigsuspend, "rt_sigsuspend", false),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_poll, "poll", false),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_select, "select", false),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_epoll_wait, "epoll_wait", true),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_pause, "pause", false),
    ];

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

        /// Whether it waits in the system, rather than compute or wait for a CPU; `None` if the
        /// system does not say.
        pub(crate) fn is_blocked(&self) -> Option<bool> {
            let text = fs::read_to_string(format!("/proc/self/task/{}/stat", self.thread)).ok()?;
            // The name, in brackets, may hold anything; the state is the letter behind it.
            let state = text.rsplit_once(')')?.1.trim_start().chars().next()?;
            Some(state != 'R')
        }

        /// The call of the system that it is in, as "read of descriptor 3"; `None` if it is in
        /// none, or the system does not say.
        pub(crate) fn system_call(&self) -> Option<String> {
            // "running", or the call's number and its arguments: proc_pid_syscall(5).
            let text =
                fs::read_to_string(format!("/proc/self/task/{}/syscall", self.thread)).ok()?;
            let mut words = text.split_whitespace();
            let number: libc::c_long = words.next()?.parse().ok()?;
            let first = words
                .next()
                .and_then(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
            let calls = SYSTEM_CALLS.iter().find(|call| call.0 == number);
            Some(match (calls, first) {
                (Some((_, name, true)), Some(descriptor)) => {
                    // (A descriptor is an `int`, in the lower half of the word.)
                    format!("{name} of descriptor {}", descriptor as u32 as i32)
                }
                (Some((_, name, _)), _) => (*name).to_owned(),
                (None, _) => format!("number {number}"),
            })
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

        pub(crate) fn system_call(&self) -> Option<String> {
            None
        }
    }
}
