//! Processes that keep the machine's processors busy, for tests that must also pass beside other
//! programs.

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

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
