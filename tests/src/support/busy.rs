//! Processes that keep the machine's processors busy, for tests that have to hold where others
//! compute.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Processes that compute until this is dropped.
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
    // A test that is killed drops nothing: the kernel then kills the process (prctl(2)).
    // SAFETY: between fork and exec, the closure makes one system call and nothing else.
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
