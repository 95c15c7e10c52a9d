//! PostgreSQL, Redis and a slow HTTP server, on loopback ports, for as long as their handles live.
//!
//! A server is the child of a supervisor, a shell that reads from a pipe. When the other end of the
//! pipe is closed, by a drop or by the end of this process for any reason, the supervisor kills the
//! server and removes its folder.

mod folder;
pub mod http;
mod postgresql;
mod redis_server;

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use self::folder::Folder;
pub(crate) use self::postgresql::config as postgresql_config;

/// How long a server may take to answer for the first time.
const START: Duration = Duration::from_secs(60);
/// How often a server is started before it counts as unavailable: another process may take its port
/// before it starts.
const TRIES: usize = 3;

/// A script that waits for the end of its standard input, and then kills the server and removes the
/// folder.
const SUPERVISOR: &str = r#"
folder=$1; signal=$2; shift 2
"$@" < /dev/null >> "$folder/log" 2>&1 &
echo $!
exec > /dev/null 2>&1
read -r end
kill -s "$signal" $!
wait $!
rm -rf "$folder"
"#;

/// A running server.
#[derive(Debug)]
pub struct Server {
    folder: Folder,
    address: SocketAddr,
    command: Vec<String>,
    /// The signal on which the server ends immediately.
    end: &'static str,
    ready: fn(SocketAddr) -> bool,
    /// The supervisors, one for each start of the server.
    supervisors: Vec<Child>,
    server: Pid,
}

impl Server {
    /// Starts PostgreSQL, with a superuser `postgres` that needs no password.
    ///
    /// # Errors
    /// Returns an error if PostgreSQL is not installed, or does not start.
    pub fn postgresql() -> io::Result<Server> {
        retry(postgresql::start)
    }

    /// Starts Redis, which writes each change to its file before it answers, so that a SIGKILL
    /// loses nothing that was confirmed to a client.
    ///
    /// # Errors
    /// Returns an error if Redis is not installed, or does not start.
    pub fn redis() -> io::Result<Server> {
        retry(redis_server::start)
    }

    fn start(
        folder: Folder,
        address: SocketAddr,
        command: Vec<String>,
        end: &'static str,
        ready: fn(SocketAddr) -> bool,
    ) -> io::Result<Server> {
        let (supervisor, pid) = supervise(&folder, &command, end)?;
        let mut server = Server {
            folder,
            address,
            command,
            end,
            ready,
            supervisors: vec![supervisor],
            server: pid,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Returns the server's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the server's folder.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Returns the server's process id.
    pub fn pid(&self) -> Pid {
        self.server
    }

    /// Kills the server with SIGKILL.
    ///
    /// # Errors
    /// Returns an error if the server has ended already.
    pub fn kill(&self) -> io::Result<()> {
        // The server may run as another user, but then this process runs as root.
        kill_process(self.server, Signal::KILL)?;
        while is_running(self.server) {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Restarts the server after [`kill`](Self::kill), with the same files and at the same address.
    ///
    /// # Errors
    /// Returns an error if the server does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        let (supervisor, pid) = supervise(&self.folder, &self.command, self.end)?;
        self.supervisors.push(supervisor);
        self.server = pid;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let start = Instant::now();
        while !(self.ready)(self.address) {
            if !is_running(self.server) || start.elapsed() > START {
                let log = std::fs::read_to_string(self.folder.path().join("log"));
                let log = log.unwrap_or_default();
                return Err(io::Error::other(format!("it does not start: {log}")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for mut supervisor in self.supervisors.drain(..) {
            drop(supervisor.stdin.take());
            let _ = supervisor.wait();
        }
    }
}

/// Returns whether the process exists and is no zombie: a killed server's supervisor collects it.
pub fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let zombie =
        stat.is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|s| s.starts_with('Z')));
    !zombie && test_kill_process(pid).is_ok()
}

fn supervise(folder: &Folder, command: &[String], end: &str) -> io::Result<(Child, Pid)> {
    let mut supervisor = folder
        .command("sh")
        .args(["-c", SUPERVISOR, "supervisor"])
        .arg(folder.path())
        .arg(end)
        .args(command)
        // Ctrl-C in a terminal then reaches only the group of the tests. The supervisor learns of
        // their end through the pipe.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut pid = String::new();
    let stdout = supervisor.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut pid)?;
    let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
    Ok((
        supervisor,
        pid.ok_or_else(|| io::Error::other("the supervisor names no server"))?,
    ))
}

fn retry(start: impl Fn(SocketAddr) -> io::Result<Server>) -> io::Result<Server> {
    let mut last = None;
    for _ in 0..TRIES {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        drop(listener);
        match start(address) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
            Err(error) => last = Some(error),
            Ok(server) => return Ok(server),
        }
    }
    Err(last.expect("there was a try"))
}

/// Returns whether the program is in one of the folders of `PATH`.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs a command to its end, and returns its stderr as the error if it fails.
fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}
