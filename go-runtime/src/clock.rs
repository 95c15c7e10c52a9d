//! The clocks of the runtime. All code reads the time here, so that a future virtual clock replaces
//! one module.

#[cfg(target_os = "linux")]
pub(crate) use linux::ThreadClock;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::ThreadClock;

use std::time::{Duration, Instant};

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the moment `duration` from now. `None` if it lies beyond what an `Instant` can express,
/// which means never.
pub(crate) fn after(duration: Duration) -> Option<Instant> {
    now().checked_add(duration)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::mem::MaybeUninit;
    use std::time::Duration;

    /// System calls that may block: number, name, and whether the first argument is a descriptor.
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

    /// Reports to other threads what a thread is doing: computing, or waiting in the system.
    pub(crate) struct ThreadClock {
        /// The clock of the CPU time that the thread has used.
        clock: Option<libc::clockid_t>,
        thread: libc::pid_t,
    }

    impl ThreadClock {
        pub(crate) fn of_this_thread() -> ThreadClock {
            let mut clock = 0;
            // SAFETY: the calling thread exists, so its handle is valid; the call writes `clock`.
            let error = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
            ThreadClock {
                clock: (error == 0).then_some(clock),
                // SAFETY: `gettid` has no preconditions.
                thread: unsafe { libc::gettid() },
            }
        }

        /// Returns the system's number of the thread.
        pub(crate) fn thread(&self) -> libc::pid_t {
            self.thread
        }

        /// Returns whether the thread waits in the system, rather than computing or waiting for a
        /// CPU. `None` if the system does not say.
        pub(crate) fn is_blocked(&self) -> Option<bool> {
            let text = fs::read_to_string(format!("/proc/self/task/{}/stat", self.thread)).ok()?;
            // The thread's name, in parentheses, may contain any characters; the state is the
            // letter after it (proc_pid_stat(5)).
            let state = text.rsplit_once(')')?.1.trim_start().chars().next()?;
            Some(state != 'R')
        }

        /// Returns the system call that the thread is in, as "read of descriptor 3". `None` if it
        /// is in none, or the system does not say.
        pub(crate) fn system_call(&self) -> Option<String> {
            // The file contains "running", or the call's number and its arguments:
            // proc_pid_syscall(5).
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

        /// Returns the CPU time that the thread has used; `None` if the system does not say.
        pub(crate) fn read(&self) -> Option<Duration> {
            let mut time = MaybeUninit::<libc::timespec>::uninit();
            // SAFETY: any clock id may be passed; the call initializes `time` if it returns 0.
            if unsafe { libc::clock_gettime(self.clock?, time.as_mut_ptr()) } != 0 {
                return None;
            }
            // SAFETY: the call has returned 0, so it has initialized `time`.
            let time = unsafe { time.assume_init() };
            // Both fields are non-negative.
            Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::time::Duration;

    /// Stands for the clock of a thread, on systems that do not tell what another thread is doing.
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
