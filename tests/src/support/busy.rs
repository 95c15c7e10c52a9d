//! Processes that keep the machine's processors busy, for tests that must also pass beside other
//! programs.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Child processes that compute until this is dropped.
pub struct Busy(Vec<Child>);

/// Starts `count` processes that compute.
pub fn processes(count: usize) -> Busy {
    Busy((0..count).map(|_| start()).collect())
}

fn start() -> Child {
    let mut command = Command::new("sh");
    command
        .args(["-c", "while :; do :; done"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // The kernel kills the process if this test is killed (prctl(2)), because a killed test drops
    // nothing. SAFETY: between fork and exec, the closure makes one system call and nothing else.
    #[cfg(target_os = "linux")]
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    command.spawn().unwrap()
}

/// Runs `f`, which runs child processes and waits for them. Returns also whether other processes
/// computed meanwhile, for over a tenth of the time that they and the children took together.
#[cfg(target_os = "linux")]
pub fn beside_others<T>(f: impl FnOnce() -> T) -> (T, bool) {
    // The numbers are in the same unit: proc_stat(5), and proc_pid_stat(5) after the name.
    let numbers = |path: &str, of_line: fn(&str) -> Option<&str>| -> Vec<i64> {
        let text = fs::read_to_string(path).unwrap();
        let line = text.lines().next().and_then(of_line).unwrap();
        let numbers = line.split_whitespace().take(14);
        numbers.map(|n| n.parse().unwrap()).collect()
    };
    let times = || {
        let all = numbers("/proc/stat", |line| line.strip_prefix("cpu "));
        // All but `idle` and `iowait`; the last two are part of the first two.
        let all = all[..8].iter().sum::<i64>() - all[3] - all[4];
        // After the name and the state; `cutime` and `cstime`.
        let own = numbers("/proc/self/stat", |line| {
            Some(&line.rsplit_once(')')?.1[3..])
        });
        (all, own[12] + own[13])
    };
    let before = times();
    let result = f();
    let after = times();
    let (all, own) = (after.0 - before.0, after.1 - before.1);
    (result, (all - own) * 10 > all)
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
