//! Third-party programs, which may be installed or not.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

/// Returns whether this program is installed. CI installs all that are used here.
pub fn is_installed(name: &str) -> bool {
    let found = Command::new(name)
        .arg(if name == "openssl" {
            "version"
        } else {
            "--version"
        })
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        println!("skipped: {name} is not installed");
    }
    found
}

/// Returns the output of curl.
pub fn curl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("curl")
        .args(["-sS", "--noproxy", "*", "--max-time", "60"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("curl starts");
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|s| {
        s.spawn(move || stdin.write_all(input));
        child.wait_with_output().expect("curl ends")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {args:?}: {errors}");
    output.stdout
}
