//! Checks that servers end with the process that has started them, however it ends.

use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use go_crates::servers::{Server, is_running};
use go_crates::world::{Needs, World};
use rustix::process::Pid;

use crate::Named;

const SLEEPER: &str = "GO_CRATES_SLEEPER";

pub(crate) const ALL: &[Named] = &[(
    "servers end, and their folders, with a process that is killed",
    &[Needs::Redis],
    killed,
)];

/// In a process that the test has started: starts a server, prints its process id and folder, and
/// waits to be killed.
pub(crate) fn sleeper() -> Option<ExitCode> {
    env::var_os(SLEEPER)?;
    let server = Server::redis().expect("the test knows that Redis is there");
    println!(
        "{} {}",
        server.pid().as_raw_nonzero(),
        server.folder().display()
    );
    let _ = io::stdin().read(&mut [0]);
    Some(ExitCode::FAILURE)
}

fn killed(_: &'static World) {
    let mut sleeper = Command::new(env::current_exe().unwrap())
        .env(SLEEPER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(sleeper.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let (pid, folder) = line.trim().split_once(' ').expect("a process and a folder");
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    assert!(is_running(pid) && Path::new(folder).is_dir());
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    while is_running(pid) || Path::new(folder).exists() {
        thread::sleep(Duration::from_millis(5));
    }
}
